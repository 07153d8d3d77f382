//! A path with its methods, so that every other method answers 405 with the right `Allow`.

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, web};

use super::reply::Problem;

/// One path. `Allow` is made of the methods it was given, so the two cannot differ.
pub struct Endpoint {
    path: String,
    resource: Resource,
    allow: Vec<Method>,
    is_open_ended: bool,
}

impl Endpoint {
    pub fn at(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            resource: web::resource(path),
            allow: Vec::new(),
            is_open_ended: false,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// For answers that go on for as long as their client wants, or as there is something to say: how long
    /// they take says nothing of the hub.
    pub fn open_ended(mut self) -> Self {
        self.is_open_ended = true;
        self
    }

    pub fn is_open_ended(&self) -> bool {
        self.is_open_ended
    }

    pub fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        F::Output: Responder + 'static,
        Args: FromRequest + 'static,
    {
        self.on(Method::GET, handler)
    }

    pub fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        F::Output: Responder + 'static,
        Args: FromRequest + 'static,
    {
        self.on(Method::POST, handler)
    }

    /// Health checks ask with HEAD; elsewhere it is refused, because a HEAD for a stream would
    /// have to open one.
    pub fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        F::Output: Responder + 'static,
        Args: FromRequest + 'static,
    {
        self.allow.push(method.clone());
        let route = web::method(method).to(handler);
        self.resource = self.resource.route(route);
        self
    }
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        let refusal = Problem::method_not_allowed(&self.allow);
        let refuse = move || std::future::ready(Err::<HttpResponse, _>(refusal.clone()));
        self.resource
            .default_service(web::to(refuse))
            .register(config);
    }
}

/// For `App::default_service`: no such path.
pub async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::ALLOW;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, Responder};

    async fn hello() -> impl Responder {
        HttpResponse::Ok().body("hello")
    }

    #[actix_rt::test]
    async fn other_methods_are_told_which_ones_there_are() {
        let app = App::new().default_service(web::to(not_found)).service(
            web::scope("/api")
                .service(Endpoint::at("/read").get(hello))
                .service(Endpoint::at("/health").get(hello).on(Method::HEAD, hello))
                .service(Endpoint::at("/both").get(hello).post(hello)),
        );
        let app = init_service(app).await;
        let check = async |method, path, status: u16, allow: Option<&str>| {
            let req = TestRequest::with_uri(path).method(method).to_request();
            let response = call_service(&app, req).await;
            let got = response.headers().get(ALLOW).map(|v| v.to_str().unwrap());
            assert_eq!((response.status().as_u16(), got), (status, allow), "{path}");
        };
        check(Method::GET, "/api/read", 200, None).await;
        check(Method::HEAD, "/api/read", 405, Some("GET")).await;
        check(Method::OPTIONS, "/api/read", 405, Some("GET")).await;
        check(Method::HEAD, "/api/health", 200, None).await;
        check(Method::DELETE, "/api/health", 405, Some("GET, HEAD")).await;
        check(Method::PUT, "/api/both", 405, Some("GET, POST")).await;
        check(Method::POST, "/api/none", 404, None).await;
        check(Method::GET, "/", 404, None).await;
    }
}
