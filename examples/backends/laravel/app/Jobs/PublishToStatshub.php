<?php

namespace App\Jobs;

use App\Services\Statshub;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use RuntimeException;

/** Tries again with the same key, so that the hub has it once, whatever became of the answers. */
class PublishToStatshub implements ShouldQueue
{
    use Dispatchable, InteractsWithQueue, Queueable;

    public $tries = 5;

    /** Where the hub cannot be reached at all. */
    public $backoff = [1, 2, 4, 8];

    public function __construct(
        private string $path,
        private array $message,
        private string $key,
    ) {}

    public function handle(Statshub $statshub): void
    {
        $answer = $statshub->publish($this->path, $this->message, $this->key);
        if ($answer->serverError() || in_array($answer->status(), [408, 429])) {
            $this->release((int) ($answer->header('Retry-After') ?: 2 ** $this->attempts()));
        } elseif ($answer->failed()) {
            $this->fail(new RuntimeException("$this->key: {$answer->status()} {$answer->body()}"));
        }
    }
}
