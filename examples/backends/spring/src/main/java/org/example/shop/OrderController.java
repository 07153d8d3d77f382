package org.example.shop;

import java.util.Map;
import java.util.UUID;

import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

@RestController
class OrderController {

    record NewOrder(double total) {}

    record Order(String id, double total) {}

    private final Statshub statshub;

    OrderController(Statshub statshub) {
        this.statshub = statshub;
    }

    @PostMapping("/orders")
    @ResponseStatus(HttpStatus.CREATED)
    Order create(@RequestBody NewOrder wanted) {
        var order = new Order(UUID.randomUUID().toString(), wanted.total());
        var key = "order-" + order.id();
        statshub.publish("publish", Map.of("metric", "orders.latest", "data", order), key);
        if (order.total() >= 1000) {
            var text = "An order of " + order.total();
            var alert = Map.of("severity", "medium", "message", text, "orderId", order.id());
            statshub.publish("alerts", alert, key + "-large");
        }
        return order;
    }
}
