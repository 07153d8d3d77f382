package org.example.shop;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import javax.crypto.spec.SecretKeySpec;

import com.nimbusds.jose.jwk.source.ImmutableSecret;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.MediaType;
import org.springframework.scheduling.annotation.Async;
import org.springframework.security.oauth2.jose.jws.MacAlgorithm;
import org.springframework.security.oauth2.jwt.JwsHeader;
import org.springframework.security.oauth2.jwt.JwtClaimsSet;
import org.springframework.security.oauth2.jwt.JwtEncoder;
import org.springframework.security.oauth2.jwt.JwtEncoderParameters;
import org.springframework.security.oauth2.jwt.NimbusJwtEncoder;
import org.springframework.stereotype.Service;
import org.springframework.web.client.ResourceAccessException;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestClientResponseException;

/** What the application has to do with the hub: tokens, and publishing. */
@Service
public class Statshub {

    private static final Logger LOG = LoggerFactory.getLogger(Statshub.class);

    private final RestClient client;
    private final JwtEncoder encoder;

    Statshub(RestClient.Builder client, @Value("${statshub.url}") String url, @Value("${statshub.secret}") String secret) {
        this.client = client.baseUrl(url + "/api/admin/analytics").build();
        var key = new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256");
        this.encoder = new NimbusJwtEncoder(new ImmutableSecret<>(key));
    }

    public String token(String user, String role, Duration lifetime) {
        var header = JwsHeader.with(MacAlgorithm.HS256).build();
        var expires = Instant.now().plus(lifetime);
        var claims = JwtClaimsSet.builder().subject(user).claim("role", role).expiresAt(expires).build();
        return encoder.encode(JwtEncoderParameters.from(header, claims)).getTokenValue();
    }

    /** Tries again with the same key, so that the hub has it once, whatever became of the answers. */
    @Async
    public void publish(String path, Map<String, ?> message, String key) {
        for (int tries = 0; tries < 5; tries++) {
            long pause = 1L << tries;
            try {
                post(path, message, key);
                return;
            } catch (RestClientResponseException answer) {
                int status = answer.getStatusCode().value();
                if (status < 500 && status != 408 && status != 429) {
                    LOG.error("statshub refused {}: {}", key, answer.getMessage());
                    return;
                }
                var after = answer.getResponseHeaders() == null ? null : answer.getResponseHeaders().getFirst("Retry-After");
                pause = after == null ? pause : Long.parseLong(after);
            } catch (ResourceAccessException unreachable) {
                LOG.warn("statshub: {}", unreachable.getMessage());
            }
            sleep(pause);
        }
        LOG.error("statshub could not be reached for {}", key);
    }

    private static void sleep(long seconds) {
        try {
            TimeUnit.SECONDS.sleep(seconds);
        } catch (InterruptedException stopping) {
            throw new IllegalStateException(stopping);
        }
    }

    private void post(String path, Map<String, ?> message, String key) {
        client.post()
                .uri("/{path}", path)
                .header("Authorization", "Bearer " + token("shop", "service", Duration.ofMinutes(1)))
                .header("Idempotency-Key", key)
                .contentType(MediaType.APPLICATION_JSON)
                .body(message)
                .retrieve()
                .toBodilessEntity();
    }
}
