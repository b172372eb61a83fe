//! Names, selectors and ports that must agree between the files.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar, Probe};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::files::{Objects, container, pod, read};

type Labels = BTreeMap<String, String>;

fn labels(deployment: &Deployment) -> &Labels {
    deployment.spec.template.metadata.as_ref().unwrap().labels.as_ref().unwrap()
}

/// The one Deployment whose pods have all these labels.
fn selected<'a>(objects: &'a Objects, selector: &Labels) -> &'a Deployment {
    let fits =
        |deployment: &&Deployment| selector.iter().all(|(key, value)| labels(deployment).get(key) == Some(value));
    let found: Vec<_> = objects.deployments.iter().filter(fits).collect();
    let [deployment] = found.as_slice() else { panic!("{selector:?} selects {} Deployments", found.len()) };
    deployment
}

fn match_labels(selector: &LabelSelector) -> &Labels {
    assert_eq!(selector.match_expressions, None);
    selector.match_labels.as_ref().unwrap()
}

fn container_ports(deployment: &Deployment) -> BTreeMap<&str, i32> {
    let ports = pod(deployment).containers.iter().flat_map(|container| container.ports.as_deref().unwrap_or_default());
    ports.map(|port| (port.name.as_deref().unwrap(), port.container_port)).collect()
}

fn probes(container: &Container) -> [&Probe; 3] {
    let probes = [&container.startup_probe, &container.readiness_probe, &container.liveness_probe];
    probes.map(|probe| probe.as_ref().unwrap_or_else(|| panic!("{} lacks a probe", container.name)))
}

/// Both proxies, with their Deployments.
fn proxies(objects: &Objects) -> [(&Deployment, &Container); 2] {
    ["envoy", "echo-grpc"].map(|name| (objects.deployment(name), container(objects.deployment(name), "envoy")))
}

#[test]
fn selectors_select_the_pods_they_are_meant_for() {
    let objects = Objects::read();
    for deployment in &objects.deployments {
        let spec = &deployment.spec;
        assert!(std::ptr::eq(selected(&objects, match_labels(&spec.selector)), deployment));
        for constraint in pod(deployment).topology_spread_constraints.as_deref().unwrap() {
            let selector = constraint.label_selector.as_ref().unwrap();
            assert!(std::ptr::eq(selected(&objects, match_labels(selector)), deployment));
        }
    }
    for budget in &objects.budgets {
        let deployment = selected(&objects, match_labels(budget.spec.as_ref().unwrap().selector.as_ref().unwrap()));
        assert_eq!(deployment.metadata.name, budget.metadata.name);
        // A budget that allows no pod to go would block every node's maintenance.
        assert!(deployment.spec.replicas.unwrap() > 1);
        assert_eq!(budget.spec.as_ref().unwrap().max_unavailable, Some(IntOrString::Int(1)));
    }
}

#[test]
fn services_lead_to_container_ports() {
    let objects = Objects::read();
    for service in &objects.services {
        let spec = service.spec.as_ref().unwrap();
        let ports = container_ports(selected(&objects, spec.selector.as_ref().unwrap()));
        for port in spec.ports.as_deref().unwrap() {
            let Some(IntOrString::String(target)) = &port.target_port else { panic!("{port:?}") };
            let container_port = ports.get(target.as_str()).unwrap_or_else(|| panic!("no port {target} in {ports:?}"));
            // A headless Service maps no ports: clients go to the pod's own.
            if spec.cluster_ip.as_deref() == Some("None") {
                assert_eq!(port.port, *container_port, "{target}");
            }
        }
    }
    let edge = objects.service("envoy").spec.as_ref().unwrap();
    assert_eq!(edge.type_.as_deref(), Some("LoadBalancer"));
    assert_eq!(edge.ports.as_deref().unwrap()[0].port, 443);
}

#[test]
fn proxies_listen_where_their_ports_and_probes_are() {
    let objects = Objects::read();
    for (deployment, container) in proxies(&objects) {
        let file = objects.envoy_file(deployment, container);
        let [port] = container.ports.as_deref().unwrap() else { panic!("{:?}", container.ports) };
        assert_eq!(port.container_port, file.port(), "{}", file.name);
        assert!(file.listens_to_everybody());
        assert!(file.port() > 1023, "uid 65532 may not bind port {}", file.port());
        let scheme = if file.certificate().is_some() { "HTTPS" } else { "HTTP" };
        for probe in probes(container) {
            let get = probe.http_get.as_ref().unwrap();
            assert_eq!((&get.port, get.scheme.as_deref()), (&IntOrString::Int(file.port()), Some(scheme)));
            let headers = get.http_headers.as_deref().unwrap().iter();
            let mut sent: Vec<_> = headers.map(|header| (header.name.as_str(), header.value.as_str())).collect();
            sent.insert(0, (":path", get.path.as_deref().unwrap()));
            assert_eq!(sent, file.health_headers(), "{}", file.name);
        }
    }
}

#[test]
fn the_application_listens_where_the_sidecar_and_the_probes_call() {
    let objects = Objects::read();
    let deployment = objects.deployment("echo-grpc");
    let application = container(deployment, "echo-grpc");
    let is_port = |variable: &&EnvVar| variable.name == "PORT";
    let variable = application.env.as_deref().unwrap().iter().find(is_port).unwrap();
    let port: i32 = variable.value.as_deref().unwrap().parse().unwrap();
    assert_eq!(application.ports.as_deref().unwrap()[0].container_port, port);
    let sidecar = objects.envoy_file(deployment, container(deployment, "envoy"));
    assert_eq!(sidecar.endpoint(), ("127.0.0.1", port));
    for probe in probes(application) {
        assert_eq!(probe.grpc.as_ref().unwrap().port, port);
    }
}

#[test]
fn the_edge_calls_the_sidecars_by_the_name_of_the_headless_service() {
    let objects = Objects::read();
    let deployment = objects.deployment("envoy");
    let edge = objects.envoy_file(deployment, container(deployment, "envoy"));
    let namespace = &objects.kustomization.namespace;
    assert_eq!(objects.namespaces[0].metadata.name.as_ref(), Some(namespace));

    let (address, port) = edge.endpoint();
    let (service, domain) = address.split_once('.').unwrap();
    assert_eq!(domain, format!("{namespace}.svc.cluster.local"));
    let spec = objects.service(service).spec.as_ref().unwrap();
    assert_eq!(spec.cluster_ip.as_deref(), Some("None"));
    assert!(spec.ports.as_deref().unwrap().iter().any(|offered| offered.port == port));
    let pods = selected(&objects, spec.selector.as_ref().unwrap());
    assert_eq!(objects.envoy_file(pods, container(pods, "envoy")).port(), port);
}

#[test]
fn every_mount_has_a_volume_and_every_volume_a_mount() {
    let objects = Objects::read();
    for deployment in &objects.deployments {
        let volumes = pod(deployment).volumes.as_deref().unwrap();
        let mut declared: Vec<_> = volumes.iter().map(|volume| volume.name.as_str()).collect();
        let containers = pod(deployment).containers.iter();
        let mounts = containers.flat_map(|container| container.volume_mounts.as_deref().unwrap_or_default());
        let mut mounted: Vec<_> = mounts.map(|mount| mount.name.as_str()).collect();
        declared.sort_unstable();
        mounted.sort_unstable();
        assert_eq!(declared, mounted);
    }
}

#[test]
fn the_certificate_is_in_the_secret_that_the_documented_command_makes() {
    let objects = Objects::read();
    let deployment = objects.deployment("envoy");
    let container = container(deployment, "envoy");
    let volumes = pod(deployment).volumes.as_deref().unwrap().iter();
    let (volume, secret) = volumes.filter_map(|volume| Some((&volume.name, volume.secret.as_ref()?))).next().unwrap();
    let mut mounts = container.volume_mounts.as_deref().unwrap().iter();
    let mount = mounts.find(|mount| &mount.name == volume).unwrap();
    let files = objects.envoy_file(deployment, container).certificate().unwrap();
    // The keys of every TLS Secret.
    assert_eq!(files, ["tls.crt", "tls.key"].map(|key| format!("{}/{key}", mount.mount_path)));
    // Readable by the group that the pod runs in, and by nobody else.
    assert_eq!(secret.default_mode, Some(0o440));
    let pod_context = pod(deployment).security_context.as_ref().unwrap();
    assert_eq!(pod_context.fs_group, pod_context.run_as_group);

    let name = secret.secret_name.as_deref().unwrap();
    let command = format!("kubectl create secret tls {name} -n {} ", objects.kustomization.namespace);
    assert!(read("README.md").contains(&command), "{command}");
}
