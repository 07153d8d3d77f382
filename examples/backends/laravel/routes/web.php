<?php

use App\Services\Statshub;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;

// Behind the login that the application has; `admin` is a gate in AppServiceProvider, such as
// Gate::define('admin', fn (User $user) => $user->is_admin).
Route::get('/hub-token', fn (Request $request, Statshub $statshub) => response(
    $statshub->token((string) $request->user()->getAuthIdentifier(), 'platform_admin', 300),
    200,
    ['Content-Type' => 'text/plain', 'Cache-Control' => 'no-store'],
))->middleware(['auth', 'can:admin']);
