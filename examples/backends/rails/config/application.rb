require "logger"
require "rails"
require "action_controller/railtie"
require "action_view/railtie"
require "active_job/railtie"
require "jwt"

class Shop < Rails::Application
  config.load_defaults 6.1
  config.root = File.expand_path("..", __dir__)
  config.eager_load = Rails.env.production?
  config.secret_key_base = ENV.fetch("SESSION_SECRET")
  config.logger = Logger.new($stdout, level: :warn)

  config.x.statshub_url = ENV.fetch("STATSHUB_URL", "http://127.0.0.1:3001")
  config.x.jwt_secret = ENV.fetch("JWT_SECRET")
  config.x.admin_password = ENV.fetch("ADMIN_PASSWORD")
end
