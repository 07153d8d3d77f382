<?php

namespace App\Services;

use Firebase\JWT\JWT;
use Illuminate\Http\Client\Response;
use Illuminate\Support\Facades\Http;

/** What the application has to do with the hub: tokens, and publishing. */
class Statshub
{
    public function token(string $user, string $role, int $seconds): string
    {
        $claims = ['sub' => $user, 'role' => $role, 'exp' => time() + $seconds];

        return JWT::encode($claims, config('statshub.secret'), 'HS256');
    }

    public function publish(string $path, array $message, string $key): Response
    {
        return Http::withToken($this->token('shop', 'service', 60))
            ->withHeaders(['Idempotency-Key' => $key])
            ->timeout(5)
            ->post(config('statshub.url')."/api/admin/analytics/$path", $message);
    }
}
