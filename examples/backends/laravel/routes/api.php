<?php

use App\Jobs\PublishToStatshub;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Str;

// Takes no cookie, so that no other page can misuse one.
Route::post('/orders', function (Request $request) {
    $total = (float) $request->validate(['total' => 'required|numeric'])['total'];
    $order = ['id' => (string) Str::uuid(), 'total' => $total];
    $key = "order-{$order['id']}";
    PublishToStatshub::dispatch('publish', ['metric' => 'orders.latest', 'data' => $order], $key);
    if ($total >= 1000) {
        $alert = ['severity' => 'medium', 'message' => "An order of $total", 'orderId' => $order['id']];
        PublishToStatshub::dispatch('alerts', $alert, "$key-large");
    }

    return response()->json($order, 201);
});
