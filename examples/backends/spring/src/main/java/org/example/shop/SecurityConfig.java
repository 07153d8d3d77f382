package org.example.shop;

import static org.springframework.security.config.Customizer.withDefaults;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.HttpStatus;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.HttpStatusEntryPoint;

@Configuration
class SecurityConfig {

    @Bean
    SecurityFilterChain security(HttpSecurity http) throws Exception {
        return http
                .authorizeHttpRequests(requests -> requests
                        .requestMatchers("/orders").permitAll()
                        .requestMatchers("/hub-token").hasRole("ADMIN")
                        .anyRequest().authenticated())
                // It takes no cookie, so that no other page can misuse one.
                .csrf(csrf -> csrf.ignoringRequestMatchers("/orders"))
                .formLogin(withDefaults())
                // A script that asks for a token has no use for the page to log in.
                .exceptionHandling(handling -> handling.defaultAuthenticationEntryPointFor(
                        new HttpStatusEntryPoint(HttpStatus.UNAUTHORIZED),
                        request -> request.getRequestURI().equals("/hub-token")))
                .build();
    }
}
