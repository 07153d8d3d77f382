from django.contrib.auth.views import LoginView
from django.urls import path

from . import views

urlpatterns = [
    path("login", LoginView.as_view()),
    path("hub-token", views.hub_token),
    path("orders", views.orders),
]
