package org.example.shop;

import java.security.Principal;
import java.time.Duration;

import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
class HubTokenController {

    private final Statshub statshub;

    HubTokenController(Statshub statshub) {
        this.statshub = statshub;
    }

    // Spring Security sends `Cache-Control: no-store` with it.
    @GetMapping(path = "/hub-token", produces = MediaType.TEXT_PLAIN_VALUE)
    String hubToken(Principal user) {
        return statshub.token(user.getName(), "platform_admin", Duration.ofMinutes(5));
    }
}
