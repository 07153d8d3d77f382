# Stands for the login that the application has.
class SessionsController < ActionController::Base
  def new; end

  def create
    password = Rails.configuration.x.admin_password
    good = ActiveSupport::SecurityUtils.secure_compare(params[:password].to_s, password)
    return head :unauthorized unless params[:username] == "admin" && good

    reset_session
    session[:user] = params[:username]
    redirect_to "/"
  end
end
