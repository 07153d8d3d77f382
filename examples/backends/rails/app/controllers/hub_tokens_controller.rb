class HubTokensController < ActionController::Base
  def show
    return head :unauthorized unless session[:user]

    response.headers["Cache-Control"] = "no-store"
    render plain: Statshub.token(session[:user], "platform_admin", 5.minutes)
  end
end
