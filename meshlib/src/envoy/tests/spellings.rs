//! Names and types of extensions: every combination that Envoy ever took, and those that contradict themselves.

use super::*;
use crate::envoy::names::{Category, EXTENSIONS, Kind, TYPE_PREFIX};

fn file(manager: &str, router: &str) -> String {
    format!(
        "static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: 80}}}}
    filter_chains:
    - filters:
      - {manager}
          stat_prefix: s
          route_config: {{name: r}}
          http_filters:
          - {router}
"
    )
}

fn spellings(kind: Kind, indent: &str) -> Vec<String> {
    let extension = EXTENSIONS.iter().find(|extension| extension.kind == kind).unwrap();
    let mut spellings = Vec::new();
    for name in extension.names {
        spellings.push(format!("name: {name}\n{indent}config:"));
        for ty in extension.types {
            let typed = format!("name: {name}\n{indent}typed_config:\n{indent}  \"@type\": {TYPE_PREFIX}{ty}");
            spellings.push(typed);
        }
    }
    spellings
}

#[test]
fn every_combination_of_name_and_type_means_the_same() {
    let expected = loaded(&file(&spellings(Kind::HttpConnectionManager, "        ")[0], "name: envoy.router")).config;
    let managers = spellings(Kind::HttpConnectionManager, "        ");
    assert_eq!(managers.len(), 6);
    for manager in &managers {
        for router in spellings(Kind::Router, "            ") {
            assert_eq!(loaded(&file(manager, &router)).config, expected, "{manager}\n{router}");
        }
    }
}

#[test]
fn every_outdated_spelling_is_warned_about() {
    let warned = |manager: &str| {
        let router = &spellings(Kind::Router, "            ")[1];
        let warnings = loaded(&file(manager, router)).warnings;
        assert!(warnings.iter().all(|warning| warning.code == Code::Deprecated));
        warnings.len()
    };
    let counts: Vec<_> =
        spellings(Kind::HttpConnectionManager, "        ").iter().map(|spelling| warned(spelling)).collect();
    // name: new, old; within: config, v3 type, v2 type.
    assert_eq!(counts, [1, 0, 1, 2, 1, 2]);
}

#[test]
fn a_name_of_ones_own_is_fine_with_a_type() {
    let text = with(SIDECAR_V3, "name: envoy.filters.http.router", "name: my-router");
    assert_eq!(loaded(&text).config, loaded(SIDECAR_V3).config);
}

#[test]
fn names_and_types_are_unambiguous() {
    for extension in EXTENSIONS {
        for name in extension.names {
            let same = |other: &&crate::envoy::names::Extension| {
                other.category == extension.category && other.names.contains(name)
            };
            let count = EXTENSIONS.iter().filter(same).count();
            // TLS has one name for both sides.
            assert_eq!(
                count,
                if extension.category == Category::TransportSocket && name.contains("tls") { 2 } else { 1 }
            );
            assert!(!crate::envoy::names::is_unsupported(extension.category, name), "{name}");
        }
        for ty in extension.types {
            assert_eq!(EXTENSIONS.iter().filter(|other| other.types.contains(ty)).count(), 1, "{ty}");
        }
    }
}

#[test]
fn contradiction_of_name_and_type() {
    let text = with(SIDECAR_V3, "name: envoy.filters.http.router", "name: envoy.filters.http.health_check");
    insta::assert_snapshot!(rendered(&text));
}

#[test]
fn unknown_and_unsupported_names_and_types() {
    let name = |name: &str| with(SIDECAR_2019, "name: envoy.health_check", &format!("name: {name}"));
    insta::assert_snapshot!("unknown_name", rendered(&name("envoy.heath_check")));
    insta::assert_snapshot!("unsupported_name", rendered(&name("envoy.fault")));
    let url = "envoy.extensions.filters.http.router.v3.Router";
    insta::assert_snapshot!("unknown_type", rendered(&with(SIDECAR_V3, url, &url.replace("v3.Router", "v3.Ruoter"))));
    insta::assert_snapshot!(
        "foreign_type",
        rendered(&with(SIDECAR_V3, url, "envoy.config.accesslog.v2.FileAccessLog"))
    );
    assert_eq!(
        codes(&with(
            SIDECAR_V3,
            "            typed_config:\n              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\n",
            ""
        )),
        [Code::MissingField]
    );
    assert_eq!(
        codes(&with(SIDECAR_V3, "\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", "{}")),
        [Code::MissingField]
    );
}
