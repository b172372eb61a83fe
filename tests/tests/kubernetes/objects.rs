//! What each pod may do, and which images it runs.

use std::collections::BTreeSet;

use crate::files::{Objects, pod, read};

const UID: i64 = 65532;

/// The Pod Security Standard `restricted`, which the namespace enforces, and a root file system that is read-only.
#[test]
fn pods_have_no_privileges() {
    let objects = Objects::read();
    let enforced = objects.namespaces[0].metadata.labels.as_ref().unwrap();
    assert_eq!(enforced["pod-security.kubernetes.io/enforce"], "restricted");
    for deployment in &objects.deployments {
        let pod = pod(deployment);
        assert_eq!(pod.automount_service_account_token, Some(false));
        let context = pod.security_context.as_ref().unwrap();
        assert_eq!(
            (context.run_as_non_root, context.run_as_user, context.run_as_group),
            (Some(true), Some(UID), Some(UID))
        );
        assert_eq!(context.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
        for container in &pod.containers {
            let context = container.security_context.as_ref().unwrap();
            assert_eq!(context.allow_privilege_escalation, Some(false));
            assert_eq!(context.read_only_root_filesystem, Some(true));
            let capabilities = context.capabilities.as_ref().unwrap();
            assert_eq!(
                (capabilities.add.as_ref(), capabilities.drop.as_deref()),
                (None, Some(&["ALL".to_owned()][..]))
            );
            let resources = container.resources.as_ref().unwrap();
            let requested = resources.requests.as_ref().unwrap();
            assert!(requested.contains_key("cpu") && requested.contains_key("memory"));
            assert!(resources.limits.as_ref().unwrap().contains_key("memory"));
        }
    }
}

#[test]
fn the_dockerfile_makes_each_image_and_the_kustomization_names_it() {
    let objects = Objects::read();
    let containers = || objects.deployments.iter().flat_map(|deployment| &pod(deployment).containers);
    let run: BTreeSet<&str> = containers().map(|container| container.image.as_deref().unwrap()).collect();
    let named: BTreeSet<&str> = objects.kustomization.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(run, named);

    let (dockerfile, build) = (read("Dockerfile"), read("build"));
    assert!(dockerfile.contains("\n    examples/kubernetes/build /images\n"));
    for image in run {
        assert!(build.contains(&format!(" \"$images/{image}\"\n")), "{image}");
        let stage = dockerfile.split_once(&format!("\nFROM scratch AS {image}\n")).unwrap().1;
        let stage = stage.split("\nFROM ").next().unwrap();
        assert!(stage.contains(&format!("COPY --from=build /images/{image} /{image}\n")), "{image}");
        assert!(stage.contains(&format!("\nUSER {UID}:{UID}\n")), "{image}");
        assert!(stage.contains(&format!("\nENTRYPOINT [\"/{image}\"]\n")), "{image}");
    }
}
