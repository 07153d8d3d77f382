# Takes no cookie, so that no other page can misuse one.
class OrdersController < ActionController::API
  def create
    order = { id: SecureRandom.uuid, total: Float(params[:total], exception: false) }
    return head :bad_request unless order[:total]

    key = "order-#{order[:id]}"
    StatshubJob.perform_later("publish", { metric: "orders.latest", data: order }.to_json, key)
    if order[:total] >= 1000
      alert = { severity: "medium", message: "An order of #{order[:total]}", orderId: order[:id] }
      StatshubJob.perform_later("alerts", alert.to_json, "#{key}-large")
    end
    render json: order, status: :created
  end
end
