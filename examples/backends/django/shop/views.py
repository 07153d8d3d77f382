import json
import uuid

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from . import statshub


@require_GET
@never_cache
def hub_token(request):
    if not request.user.is_staff:
        raise PermissionDenied
    return HttpResponse(statshub.token(request.user.pk, "platform_admin", minutes=5), content_type="text/plain")


# Takes no cookie, so that no other page can misuse one.
@csrf_exempt
@require_POST
def orders(request):
    try:
        order = {"id": str(uuid.uuid4()), "total": float(json.loads(request.body)["total"])}
    except (KeyError, TypeError, ValueError):
        return HttpResponseBadRequest()
    # Not before the order is in the database.
    transaction.on_commit(lambda: tell(order))
    return JsonResponse(order, status=201)


def tell(order):
    key = f"order-{order['id']}"
    statshub.publish("publish", {"metric": "orders.latest", "data": order}, key)
    if order["total"] >= 1000:
        alert = {"severity": "medium", "message": f"An order of {order['total']:g}", "orderId": order["id"]}
        statshub.publish("alerts", alert, f"{key}-large")
