//! Reads `examples/kubernetes`, strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Namespace, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envoy::EnvoyFile;

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/kubernetes")
}

pub(crate) fn read(name: &str) -> String {
    let path = directory().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `kustomization.yaml`, as far as it is used here: another field would be one that these tests do not follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kustomization {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) resources: Vec<String>,
    pub(crate) config_map_generator: Vec<Generator>,
    pub(crate) images: Vec<Image>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generator {
    pub(crate) name: String,
    /// Each `KEY=FILE`.
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Image {
    pub(crate) name: String,
    #[serde(rename = "newName")]
    _new_name: String,
    #[serde(rename = "newTag")]
    _new_tag: String,
}

/// Everything that `kustomize build` would put out.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) kustomization: Kustomization,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) services: Vec<Service>,
    pub(crate) budgets: Vec<PodDisruptionBudget>,
    /// The Envoy files, by the ConfigMap's name and key.
    pub(crate) config_maps: BTreeMap<(String, String), EnvoyFile>,
}

impl Objects {
    pub(crate) fn read() -> Self {
        let kustomization: Kustomization = serde_saphyr::from_str(&read("kustomization.yaml")).unwrap();
        let mut objects = Self {
            config_maps: config_maps(&kustomization),
            kustomization,
            namespaces: Vec::new(),
            deployments: Vec::new(),
            services: Vec::new(),
            budgets: Vec::new(),
        };
        for name in objects.kustomization.resources.clone() {
            objects.add(&name, &read(&name));
        }
        objects
    }

    fn add(&mut self, name: &str, text: &str) {
        let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        match value["kind"].as_str() {
            Some("Namespace") => self.namespaces.push(strictly(name, &value)),
            Some("Deployment") => self.deployments.push(strictly(name, &value)),
            Some("Service") => self.services.push(strictly(name, &value)),
            Some("PodDisruptionBudget") => self.budgets.push(strictly(name, &value)),
            kind => panic!("{name}: {kind:?} is no kind that these tests know"),
        }
    }

    pub(crate) fn deployment(&self, name: &str) -> &Deployment {
        let named = |deployment: &&Deployment| deployment.metadata.name.as_deref() == Some(name);
        self.deployments.iter().find(named).unwrap_or_else(|| panic!("no Deployment {name}"))
    }

    pub(crate) fn service(&self, name: &str) -> &Service {
        let named = |service: &&Service| service.metadata.name.as_deref() == Some(name);
        self.services.iter().find(named).unwrap_or_else(|| panic!("no Service {name}"))
    }

    /// The Envoy file that a proxy's container is told to run: of the ConfigMap that is mounted where it looks.
    pub(crate) fn envoy_file(&self, deployment: &Deployment, container: &Container) -> &EnvoyFile {
        let [flag, path] = container.args.as_deref().unwrap() else { panic!("{:?}", container.args) };
        assert_eq!(flag, "--config-path");
        let (mount_path, key) = path.rsplit_once('/').unwrap();
        let mounts = container.volume_mounts.as_deref().unwrap();
        let mount = mounts.iter().find(|mount| mount.mount_path == mount_path).unwrap();
        let volumes = pod(deployment).volumes.as_deref().unwrap();
        let volume = volumes.iter().find(|volume| volume.name == mount.name).unwrap();
        let config_map = volume.config_map.as_ref().unwrap().name.clone();
        &self.config_maps[&(config_map, key.to_owned())]
    }
}

pub(crate) fn pod(deployment: &Deployment) -> &k8s_openapi::api::core::v1::PodSpec {
    deployment.spec.template.spec.as_ref().unwrap()
}

pub(crate) fn container<'a>(deployment: &'a Deployment, name: &str) -> &'a Container {
    pod(deployment).containers.iter().find(|container| container.name == name).unwrap()
}

fn config_maps(kustomization: &Kustomization) -> BTreeMap<(String, String), EnvoyFile> {
    let mut maps = BTreeMap::new();
    for generator in &kustomization.config_map_generator {
        for entry in &generator.files {
            let (key, file) = entry.split_once('=').unwrap();
            let former = maps.insert((generator.name.clone(), key.to_owned()), EnvoyFile::read(file));
            assert!(former.is_none(), "{} has {key} twice", generator.name);
        }
    }
    maps
}

/// The typed object, if nothing of the value gets lost in it: the types skip fields that they do not know.
fn strictly<T: DeserializeOwned + Serialize + Debug>(name: &str, value: &Value) -> T {
    let object: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let kept = serde_json::to_value(&object).unwrap();
    assert_eq!(value, &kept, "{name}: a field is unknown, or its value has another form");
    object
}

#[test]
fn every_object_is_of_its_type() {
    let objects = Objects::read();
    assert_eq!(objects.kustomization.api_version, "kustomize.config.k8s.io/v1beta1");
    assert_eq!(objects.kustomization.kind, "Kustomization");
    assert_eq!(objects.namespaces.len(), 1);
    assert_eq!((objects.deployments.len(), objects.services.len(), objects.budgets.len()), (2, 2, 2));
}

#[test]
#[should_panic(expected = "a field is unknown")]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let text = read("echo-service.yaml").replace("clusterIP:", "clusterIp:");
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    let _: Service = strictly("echo-service.yaml", &value);
}

#[test]
fn every_file_of_the_directory_is_used() {
    let kustomization = Objects::read().kustomization;
    let mut used: BTreeSet<String> = kustomization.resources.into_iter().collect();
    used.insert("kustomization.yaml".into());
    for generator in kustomization.config_map_generator {
        used.extend(generator.files.iter().filter_map(|entry| Some(entry.split_once('=')?.1.to_owned())));
    }
    let there = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.filter(|name| name.ends_with(".yaml")).collect::<BTreeSet<_>>(), used);
}
