# So that an order does not wait for the hub. With a queue that is kept, such as Solid Queue, it survives a
# restart of the application too.
class StatshubJob < ActiveJob::Base
  # With the same key, so that the hub has it once, whatever became of the answers.
  rescue_from(Statshub::Unavailable) do |error|
    raise error if executions >= 5

    retry_job wait: error.retry_after || 2**executions
  end

  def perform(path, message, key)
    Statshub.publish(path, message, key)
  end
end
