use http::Response;
use tokio::sync::oneshot;
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

use super::*;
use crate::route::config::{RouteConfig, VirtualHostConfig};

type Target = BoxCloneSyncService<Request<()>, Response<&'static str>, Error>;

fn answer(text: &'static str) -> Target {
    BoxCloneSyncService::new(service_fn(move |_| async move { Ok(Response::new(text)) }))
}

fn request(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

#[tokio::test]
async fn notes_what_it_chose() {
    let mut route = RouteConfig::new(RouteMatch::prefix("/a"), RouteAction::cluster("c"));
    route.name = Some("r".into());
    let host = VirtualHostConfig::new("v", vec!["*".to_owned()], vec![route]);
    let router = Router::new(&RouteTableConfig::new("t", vec![host]), |_| answer("a")).unwrap();
    let info = RequestInfo::detached();
    let mut request = request("/a");
    request.extensions_mut().insert(info.clone());
    assert_eq!(router.oneshot(request).await.unwrap().into_body(), "a");
    info.read(|record| {
        assert_eq!(record.virtual_host.as_deref(), Some("v"));
        assert_eq!(record.route.as_deref(), Some("r"));
        assert_eq!(record.cluster.as_deref(), Some("c"));
    });
}

#[tokio::test]
async fn no_route_is_an_error_that_carries_the_record() {
    let router = Router::builder().route(RouteMatch::path("/a"), answer("a")).build().unwrap();
    let mut request = request("/b");
    request.extensions_mut().insert(RequestInfo::detached());
    let error = router.oneshot(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRoute);
    assert!(error.info().is_some());
}

#[tokio::test]
async fn a_request_keeps_the_table_it_began_with() {
    let (go, gone) = oneshot::channel::<()>();
    let gone = Arc::new(std::sync::Mutex::new(Some(gone)));
    let slow: Target = BoxCloneSyncService::new(service_fn(move |_| {
        let gone = gone.lock().unwrap().take();
        async move {
            gone.unwrap().await.unwrap();
            Ok(Response::new("old"))
        }
    }));
    let router = Router::builder().route(RouteMatch::prefix("/"), slow).build().unwrap();
    let old = tokio::spawn(router.clone().oneshot(request("/")));
    tokio::task::yield_now().await;
    router.replace(Router::builder().route(RouteMatch::prefix("/"), answer("new")).table().unwrap());
    assert_eq!(router.clone().oneshot(request("/")).await.unwrap().into_body(), "new");
    go.send(()).unwrap();
    assert_eq!(old.await.unwrap().unwrap().into_body(), "old");
}

#[tokio::test]
async fn virtual_hosts_of_a_builder() {
    let router = Router::builder()
        .virtual_host("a", ["a.example"])
        .route(RouteMatch::prefix("/"), answer("a"))
        .virtual_host("rest", ["*"])
        .route(RouteMatch::prefix("/"), answer("rest"))
        .build()
        .unwrap();
    for (uri, expected) in [("http://a.example/", "a"), ("http://b.example/", "rest")] {
        assert_eq!(router.clone().oneshot(request(uri)).await.unwrap().into_body(), expected);
    }
}
