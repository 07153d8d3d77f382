require "net/http"

# What the application has to do with the hub: tokens, and publishing.
module Statshub
  class Refused < StandardError; end

  class Unavailable < StandardError
    attr_reader :retry_after

    def initialize(message, retry_after = nil)
      super(message)
      @retry_after = retry_after&.to_i
    end
  end

  def self.token(user, role, lifetime = 1.minute)
    claims = { sub: user, role: role, exp: lifetime.from_now.to_i }
    JWT.encode(claims, Rails.configuration.x.jwt_secret, "HS256")
  end

  def self.publish(path, message, key)
    answer = post(path, message, key)
    case answer.code.to_i
    when 202 then nil
    when 408, 429, 500.. then raise Unavailable.new(answer.body, answer["Retry-After"])
    else raise Refused, "#{key}: #{answer.code} #{answer.body}"
    end
  rescue SystemCallError, SocketError, IOError, Timeout::Error => error
    raise Unavailable, error.message
  end

  def self.post(path, message, key)
    uri = URI("#{Rails.configuration.x.statshub_url}/api/admin/analytics/#{path}")
    headers = {
      "Authorization" => "Bearer #{token("shop", "service")}",
      "Content-Type" => "application/json",
      "Idempotency-Key" => key,
    }
    options = { use_ssl: uri.scheme == "https", open_timeout: 5, read_timeout: 5 }
    Net::HTTP.start(uri.host, uri.port, **options) { |http| http.post(uri.request_uri, message, headers) }
  end
  private_class_method :post
end
