Rails.application.routes.draw do
  get "login", to: "sessions#new"
  post "login", to: "sessions#create"
  get "hub-token", to: "hub_tokens#show"
  resources :orders, only: :create
end
