//! What else a file may name and an application brings: load balancer, discovery, health check, access log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::{BodyExt, Full};
use meshlib::{
    base::{
        FinishObserver, RequestInfo,
        info::Record,
        resources::{BoxIo, Network, Rng},
    },
    cluster::{
        balance::{LoadBalancer, PickContext, Picker},
        host::Host,
        host_set::HostSet,
    },
    discovery::{Endpoint, Watched},
    envoy::{
        diagnostic::Code,
        mesh::{MeshBuilder, MeshError},
        reader::{FromConfig, Read, Reader},
    },
    proxy::mesh::{Mesh, MeshService},
    testkit::Health,
};
use tokio::{sync::watch, time::sleep};
use tower::ServiceExt;

use crate::{
    node::raised,
    world::{World, address, secs, sidecar_address, tasks},
};

/// A message of one field.
macro_rules! message {
    ($name:ident, $message:literal, $field:ident: $type:ty) => {
        #[derive(Clone, Debug, PartialEq)]
        struct $name {
            $field: $type,
        }

        impl FromConfig for $name {
            const MESSAGE: &'static str = $message;

            fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
                Ok(Self { $field: reader.required(stringify!($field))? })
            }
        }
    };
}

message!(ShardCfg, "acme.ShardCfg", header: String);
message!(RegistryCfg, "acme.RegistryCfg", service: String);
message!(LogCfg, "acme.LogCfg", prefix: String);

/// The shard that a header names takes the request.
#[derive(Clone, Debug)]
struct Shards(HeaderName);

impl LoadBalancer for Shards {
    fn name(&self) -> &str {
        "ACME_SHARDS"
    }

    fn picker(&self, _: Rng) -> Box<dyn Picker> {
        Box::new(self.clone())
    }
}

impl Picker for Shards {
    fn update(&mut self, _: &HostSet) {}

    fn pick(&mut self, hosts: &HostSet, request: &PickContext<'_>) -> Option<usize> {
        let shard: u8 = request.headers?.get(&self.0)?.to_str().ok()?.parse().ok()?;
        let is_shard = |host: &Arc<Host>| host.address().ip() == address(shard);
        hosts.hosts().iter().position(is_shard).filter(|index| hosts.eligible().contains(index))
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

/// Writes who answered.
struct Log(String, Lines);

impl FinishObserver for Log {
    fn on_finish(&self, _: &RequestInfo, record: &Record) {
        let host = record.upstream_host().map_or("nobody".to_owned(), |host| host.to_string());
        self.1.0.lock().unwrap().push(format!("{}{host}", self.0));
    }
}

const FILE: &str = "
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: egress
          access_log:
          - name: acme.access_loggers.who
            config: {prefix: 'by '}
          route_config:
            virtual_hosts:
            - {name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: shards}}]}
          http_filters: [{name: envoy.router}]
  clusters:
  - name: shards
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    cluster_type:
      name: acme.clusters.registry
      typed_config: {'@type': type.googleapis.com/acme.RegistryCfg, service: shards}
    load_balancing_policy:
      policies:
      - typed_extension_config:
          name: acme.load_balancers.shard
          typed_config: {'@type': type.googleapis.com/acme.ShardCfg, header: x-shard}
    health_checks:
    - timeout: 1s
      interval: 5s
      no_traffic_interval: 5s
      unhealthy_threshold: 1
      healthy_threshold: 1
      custom_health_check: {name: acme.health_checkers.accepts}
";

/// Everything that the file names.
fn application(world: &World, endpoints: watch::Receiver<Vec<Endpoint>>, lines: Lines) -> MeshBuilder {
    let kit = world.edge_kit();
    let network = kit.network.clone();
    Mesh::builder()
        .resources(kit.resources)
        .register_load_balancer("acme.load_balancers.shard", |config: ShardCfg| {
            Shards(config.header.parse().expect("a header"))
        })
        .register_discovery("acme.clusters.registry", move |_: &RegistryCfg, _| Watched::new(endpoints.clone()))
        .register_health_check("acme.health_checkers.accepts", move |(): ()| {
            let network = network.clone();
            move |host: Arc<Host>| {
                let connecting = network.connect(host.address());
                async move { connecting.await.map(|_: BoxIo| ()) as io::Result<()> }
            }
        })
        .register_access_log("acme.access_loggers.who", move |config: LogCfg| Log(config.prefix, lines.clone()))
}

async fn status(service: &MeshService, shard: u8) -> String {
    let request = Request::post("http://shards/api.Echo/Echo")
        .header("content-type", "application/grpc")
        .header("x-shard", shard.to_string())
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\0")))
        .unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let head = response.headers().get("grpc-status").cloned();
    let body = response.into_body().collect().await.unwrap();
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()).or(head);
    status.unwrap().to_str().unwrap().to_owned()
}

fn endpoints(pods: &[u8]) -> Vec<Endpoint> {
    pods.iter().map(|pod| Endpoint::new(sidecar_address(*pod))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_made_of_the_applications_own_parts() {
    let mut world = World::new(1);
    for pod in [1, 2, 3] {
        world.start_pod(pod).await;
    }
    let (registry, watched) = watch::channel(endpoints(&[1, 2]));
    let lines = Lines::default();
    let mesh = application(&world, watched, lines.clone()).start_str("envoy.yaml", FILE).unwrap();
    let service = mesh.service().unwrap();
    for shard in [2, 1, 2, 2] {
        assert_eq!(status(&service, shard).await, "0");
    }
    assert_eq!((world.app(1).calls(), world.app(2).calls()), (1, 3));

    // Discovery.
    assert_eq!(status(&service, 3).await, "14");
    registry.send_replace(endpoints(&[1, 2, 3]));
    sleep(secs(1)).await;
    assert_eq!(status(&service, 3).await, "0");

    // Health: the check is ours, so what the application says of itself does not count.
    world.app(1).set_health(Health::NotServing);
    world.kill_sidecar(2).await;
    sleep(secs(6)).await;
    let healthy = |name: &str| mesh.resources().stats().gauge_value(&format!("cluster.shards.{name}"));
    assert_eq!((healthy("membership_total"), healthy("membership_healthy")), (Some(3), Some(2)));
    assert_eq!(status(&service, 1).await, "0");
    assert_eq!(status(&service, 2).await, "14");

    let by = |pod: u8| format!("by {}", sidecar_address(pod));
    let expected = [by(2), by(1), by(2), by(2), "by nobody".to_owned(), by(3), by(1), "by nobody".to_owned()];
    assert_eq!(*lines.0.lock().unwrap(), expected);

    let stats = mesh.resources().stats().clone();
    drop((mesh, service));
    sleep(secs(1)).await;
    assert_eq!(raised(&stats), Vec::<String>::new());
    drop((world, registry));
    sleep(secs(2)).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn configurations_compare_by_what_the_file_says() {
    let world = World::new(1);
    let config = |file: &str| {
        let (_, watched) = watch::channel(Vec::new());
        application(&world, watched, Lines::default()).start_str("envoy.yaml", file).unwrap().config().clone()
    };
    let first = config(FILE);
    assert_eq!(first, config(FILE));
    for (from, to) in [("header: x-shard", "header: x-other"), ("service: shards", "service: x"), ("'by '", "'x '")] {
        assert_ne!(first, config(&FILE.replace(from, to)), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn mistakes_have_their_place_and_unknown_names_say_how_to_register() {
    let world = World::new(1);
    let errors = |from: &str, to: &str| {
        assert!(FILE.contains(from), "{from}");
        let (_, watched) = watch::channel(Vec::new());
        let builder = application(&world, watched, Lines::default());
        match builder.start_str("envoy.yaml", &FILE.replacen(from, to, 1)) {
            Err(MeshError::File(errors)) => errors,
            other => panic!("{to}: {other:?}"),
        }
    };
    let codes = |from: &str, to: &str| errors(from, to).iter().map(|error| error.code).collect::<Vec<_>>();
    assert_eq!(codes("header: x-shard", "haeder: x-shard"), [Code::UnknownField]);
    assert_eq!(codes("service: shards", ""), [Code::MissingField]);
    assert_eq!(codes("prefix: 'by '", "prefix: 1"), [Code::Type]);
    assert_eq!(
        codes("acme.health_checkers.accepts}", "acme.health_checkers.accepts, config: {x: 1}}"),
        [Code::UnknownField]
    );
    let assignment = "load_assignment: {cluster_name: shards, endpoints: [{lb_endpoints: [{endpoint: {address: \
                      {socket_address: {address: 10.0.0.1, port_value: 1}}}}]}]}\n    cluster_type:";
    assert_eq!(codes("cluster_type:", assignment), [Code::Conflict]);

    for (name, method) in [
        ("acme.access_loggers.who", "register_access_log"),
        ("acme.clusters.registry", "register_discovery"),
        ("acme.load_balancers.shard", "register_load_balancer"),
        ("acme.health_checkers.accepts", "register_health_check"),
    ] {
        let file = match name {
            // By its type it would be found under any name.
            "acme.clusters.registry" => FILE.replace("acme.RegistryCfg", "other.Cfg"),
            "acme.load_balancers.shard" => FILE.replace("acme.ShardCfg", "other.Cfg"),
            _ => FILE.to_owned(),
        };
        let (_, watched) = watch::channel(Vec::new());
        let builder = application(&world, watched, Lines::default());
        let error = builder.start_str("envoy.yaml", &file.replace(name, "other")).unwrap_err().to_string();
        assert!(error.contains(&format!("`Mesh::builder().{method}(\"other\", ..)`")), "{error}");
    }
}
