<?php

return [
    'url' => env('STATSHUB_URL', 'http://127.0.0.1:3001'),
    'secret' => env('JWT_SECRET'),
];
