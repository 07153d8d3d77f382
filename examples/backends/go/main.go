// A shop that tells a statshub hub about its orders and lets its admin look.
package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

type order struct {
	ID    string  `json:"id"`
	Total float64 `json:"total"`
}

func main() {
	http.HandleFunc("/hub-token", hubToken)
	http.HandleFunc("/orders", createOrder)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+env("PORT", "8080"), nil))
}

func hubToken(w http.ResponseWriter, r *http.Request) {
	// Stands for the login that the application has.
	user, password, _ := r.BasicAuth()
	good := subtle.ConstantTimeCompare([]byte(password), []byte(os.Getenv("ADMIN_PASSWORD")))
	if user != "admin" || password == "" || good != 1 {
		w.Header().Set("WWW-Authenticate", "Basic")
		http.Error(w, "please log in", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, token(user, "platform_admin", 5*time.Minute))
}

func createOrder(w http.ResponseWriter, r *http.Request) {
	var made order
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&made) != nil {
		http.Error(w, "an order is POSTed as JSON", http.StatusBadRequest)
		return
	}
	made.ID = newID()
	// So that the order does not wait for the hub.
	go tell(made)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(made)
}

func tell(made order) {
	key := "order-" + made.ID
	metric := map[string]any{"metric": "orders.latest", "data": made}
	if err := publish("publish", metric, key); err != nil {
		log.Print(err)
	}
	if made.Total < 1000 {
		return
	}
	text := fmt.Sprintf("An order of %g", made.Total)
	alert := map[string]any{"severity": "medium", "message": text, "orderId": made.ID}
	if err := publish("alerts", alert, key+"-large"); err != nil {
		log.Print(err)
	}
}

func newID() string {
	bytes := make([]byte, 16)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return hex.EncodeToString(bytes)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
