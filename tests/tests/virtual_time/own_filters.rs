//! HTTP filters that a file names and an application brings: its own layer, and those of tower-http as they are.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use meshlib::{
    base::{Error, ErrorKind, RequestInfo},
    envoy::{
        diagnostic::Code,
        mesh::{MeshBuilder, MeshError},
        reader::{FromConfig, Read, Reader, Value},
    },
    http::Body,
    proxy::mesh::{Mesh, MeshService},
    testkit::Testkit,
};
use tower::{
    ServiceExt, service_fn,
    util::{MapRequestLayer, MapResultLayer},
};
use tower_http::{compression::CompressionLayer, cors::CorsLayer, limit::RequestBodyLimitLayer};

#[derive(Clone, Debug, PartialEq)]
struct TenantCfg {
    header: HeaderName,
    default: String,
}

impl FromConfig for TenantCfg {
    const MESSAGE: &'static str = "acme.TenantCfg";

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let header = reader.get("header").map(header_name);
        let default = reader.or("default", "nobody".to_owned());
        let header = header.unwrap_or_else(|| reader.required::<String>("header").map(|_| HeaderName::from_static("")));
        Ok(Self { header: header?, default: default? })
    }
}

fn header_name(value: Value<'_>) -> Read<HeaderName> {
    value.read::<String>()?.parse().map_err(|_| value.invalid("the name of a header"))
}

#[derive(Clone, Debug, PartialEq)]
struct LimitCfg {
    max_bytes: u32,
}

impl FromConfig for LimitCfg {
    const MESSAGE: &'static str = "acme.LimitCfg";

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { max_bytes: reader.required("max_bytes")? })
    }
}

/// Says in a header who the request is for.
fn tenant(config: TenantCfg) -> MapRequestLayer<impl Fn(Request<Body>) -> Request<Body> + Clone> {
    let default = HeaderValue::try_from(config.default).expect("a header");
    MapRequestLayer::new(move |mut request: Request<Body>| {
        let tenant = request.headers().get(&config.header).unwrap_or(&default).clone();
        request.headers_mut().insert("tenant", tenant);
        request
    })
}

fn file(filters: &str) -> String {
    format!(
        "
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: ingress
          route_config:
            virtual_hosts:
            - {{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: app}}}}]}}
          http_filters:
{filters}
          - name: envoy.filters.http.router
            typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"
    )
}

/// Everything that this application has; its own service says what it got.
fn application(kit: &Testkit) -> MeshBuilder {
    let app = service_fn(|request: Request<Body>| async {
        let tenant = request.headers().get("tenant").map_or("none", |tenant| tenant.to_str().unwrap()).to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, Error>(Response::new(Body::from(format!("{tenant} {}", body.len()).repeat(100))))
    });
    Mesh::builder()
        .resources(kit.resources.clone())
        .local_service("app", app)
        .register_http_filter("acme.filters.tenant", tenant)
        .register_http_filter("acme.filters.limit", |limit: LimitCfg| {
            RequestBodyLimitLayer::new(limit.max_bytes as usize)
        })
        .register_http_filter("acme.filters.refuse", |(): ()| {
            MapResultLayer::new(|_: Result<Response<Body>, Error>| {
                Err::<Response<Body>, _>(Error::new(ErrorKind::Overflow))
            })
        })
        // Names that Envoy has, and this version does not.
        .register_http_filter("envoy.filters.http.cors", |(): ()| CorsLayer::permissive())
        .register_http_filter("envoy.filters.http.compressor", |(): ()| CompressionLayer::new())
}

fn start(filters: &str) -> (Testkit, Result<Mesh, MeshError>) {
    let kit = Testkit::seeded(1);
    let mesh = application(&kit).start_str("envoy.yaml", &file(filters));
    (kit, mesh)
}

fn request(body: &'static str) -> http::request::Builder {
    Request::post("http://app/").header("x-tenant", body)
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn answers(service: MeshService, request: http::request::Builder, body: &'static str) -> Response<Body> {
    service.oneshot(request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_layer_of_the_application_in_every_spelling() {
    for spelling in [
        "config: {header: x-tenant}",
        "typed_config: {'@type': type.googleapis.com/acme.TenantCfg, header: x-tenant}",
        "typed_config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/acme.TenantCfg, value: {header: x-tenant}}",
        "typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: acme/acme.TenantCfg, value: {header: x-tenant}}",
        "typed_config: {'@type': type.googleapis.com/google.protobuf.Struct, value: {header: x-tenant}}",
    ] {
        for name in ["acme.filters.tenant", "whatever"] {
            if name == "whatever" && (spelling.starts_with("config") || spelling.contains("Struct, value")) {
                continue; // Without a type of its own the name is all there is.
            }
            let (_kit, mesh) = start(&format!("          - name: {name}\n            {spelling}"));
            let service = mesh.unwrap_or_else(|error| panic!("{spelling}: {error}")).service().unwrap();
            assert!(text(answers(service.clone(), request("acme"), "").await).await.starts_with("acme 0"));
            let nobody = Request::post("http://app/");
            assert!(text(answers(service, nobody, "").await).await.starts_with("nobody 0"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn layers_of_tower_http_fit() {
    let (kit, mesh) = start(
        "          - name: envoy.filters.http.cors
          - name: envoy.filters.http.compressor
          - name: acme.filters.limit
            typed_config: {'@type': type.googleapis.com/acme.LimitCfg, max_bytes: 4}",
    );
    let mesh = mesh.unwrap();
    let service = mesh.service().unwrap();
    let whole = answers(service.clone(), Request::post("http://app/"), "1234").await;
    assert_eq!(whole.headers()["access-control-allow-origin"], "*");
    assert_eq!(text(whole).await, "none 4".repeat(100));
    let packed = answers(service.clone(), Request::post("http://app/").header("accept-encoding", "gzip"), "1").await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.into_body().collect().await.unwrap().to_bytes();
    assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < 100, "{}", packed.len());
    let large = answers(service.clone(), Request::post("http://app/").header("content-length", "5"), "12345").await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    drop(large);

    // The same behind a socket, and in the log.
    let server = mesh.serve().await.unwrap();
    let at = server.local_addrs().next().unwrap();
    let mut raw = crate::client::Raw::connect(&kit.network, at).await.unwrap();
    raw.get("/", "accept-encoding: gzip\r\nconnection: close\r\n").await;
    let reply = raw.rest().await.to_ascii_lowercase();
    assert!(reply.contains("content-encoding: gzip\r\n") && reply.contains("server: envoy\r\n"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_filter_is_the_local_reply_of_its_kind() {
    let (_kit, mesh) = start("          - name: acme.filters.refuse");
    let response = answers(mesh.unwrap().service().unwrap(), request("acme"), "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let info = RequestInfo::of(response.extensions()).unwrap();
    assert_eq!(info.read(|record| record.flags.to_string()), "UO");
}

#[tokio::test(start_paused = true)]
async fn configurations_compare_by_what_the_file_says() {
    let filter =
        |header: &str| format!("          - name: acme.filters.tenant\n            config: {{header: {header}}}");
    let config = |header: &str| start(&filter(header)).1.unwrap().config().clone();
    let (one, other) = (config("x-tenant"), config("x-team"));
    let without_services = |mut config: meshlib::proxy::config::MeshConfig| {
        config.local_services.clear();
        config
    };
    let again = without_services(config("x-tenant"));
    assert_eq!(without_services(one.clone()), again);
    assert_ne!(without_services(other), again);
    assert!(format!("{one:?}").contains("\"acme.filters.tenant\" of TenantCfg"), "{one:?}");
}

#[tokio::test(start_paused = true)]
async fn mistakes_have_their_place() {
    for (filter, code, says) in [
        ("config: {haeder: x}", Code::UnknownField, "unknown field `haeder` in `acme.TenantCfg`"),
        ("config: {header: x, default: 1}", Code::Type, "`default` must be a string"),
        ("config: {header: 'a b'}", Code::InvalidValue, "`header` must be the name of a header, not `a b`"),
        ("config: {}", Code::MissingField, "`acme.TenantCfg` needs the field `header`"),
        ("typed_config: {header: x}", Code::MissingField, "`typed_config` needs an `@type`"),
        (
            "typed_config: {'@type': type.googleapis.com/acme.TennantCfg, header: x}",
            Code::NameTypeMismatch,
            "the configuration of `acme.filters.tenant` is a `acme.TenantCfg`, not a `acme.TennantCfg`",
        ),
        (
            "typed_config: {'@type': type.googleapis.com/xds.type.v3.TypedStruct, value: {header: x}}",
            Code::MissingField,
            "`typed_struct` needs the field `type_url`",
        ),
    ] {
        let (_, mesh) = start(&format!("          - name: acme.filters.tenant\n            {filter}"));
        let Err(MeshError::File(errors)) = mesh else { panic!("{filter} is accepted") };
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, [code], "{errors}");
        assert!(errors.to_string().contains(says), "{errors}");
        assert!(
            errors.to_string().contains("--> envoy.yaml:15:") || errors.to_string().contains("--> envoy.yaml:14:"),
            "{errors}"
        );
    }
    let (_, mesh) = start("          - name: acme.filters.tennant\n            config: {}");
    let error = mesh.unwrap_err().to_string();
    assert!(error.contains("unknown HTTP filter `acme.filters.tennant`"), "{error}");
    assert!(error.contains("did you mean `acme.filters.tenant`?"), "{error}");
    let (_, mesh) =
        start("          - name: other\n            typed_config: {'@type': type.googleapis.com/acme.Other}");
    let error = mesh.unwrap_err().to_string();
    assert!(error.contains("`Mesh::builder().register_http_filter(\"other\", ..)`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_type_names_an_extension_only_if_it_tells_which() {
    let kit = Testkit::seeded(1);
    let load = |builder: MeshBuilder, name: &str, message: &str| {
        let typed = format!("typed_config: {{'@type': type.googleapis.com/{message}, header: x-tenant}}");
        let typed = if message.starts_with("acme") { typed } else { typed.replace(", header: x-tenant", "") };
        builder.start_str("envoy.yaml", &file(&format!("          - name: {name}\n            {typed}")))
    };
    assert!(load(application(&kit), "any", "acme.TenantCfg").is_ok(), "one has this type");
    assert!(load(application(&kit), "acme.filters.refuse", "google.protobuf.Empty").is_ok());
    let two = || application(&kit).register_http_filter("acme.filters.team", tenant);
    assert!(load(two(), "acme.filters.team", "acme.TenantCfg").is_ok());
    for (builder, name, message, says, label) in [
        (two(), "any", "acme.TenantCfg", "does not tell which", "would: `acme.filters.tenant` or `acme.filters.team`"),
        (two(), "acme.filters.taem", "acme.TenantCfg", "does not tell which", "did you mean `acme.filters.team`?"),
        (application(&kit), "any", "google.protobuf.Empty", "does not tell which", "would: `acme.filters.refuse` or "),
        (
            application(&kit),
            "any",
            "acme.TennantCfg",
            "is not the type of an HTTP filter",
            "did you mean `type.googleapis.com/acme.TenantCfg`?",
        ),
    ] {
        let Err(MeshError::File(errors)) = load(builder, name, message) else { panic!("{name} {message} is accepted") };
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, [Code::UnknownExtension], "{errors}");
        let errors = errors.to_string();
        assert!(errors.contains(&format!("`{message}` {says}")) && errors.contains(label), "{errors}");
    }
}
