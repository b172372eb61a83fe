//! What is said about bad files.

use super::*;

macro_rules! says {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(rendered(&$text));
            }
        )*
    };
}

says! {
    unknown_field: with(SIDECAR_2019, "port_value: 8786", "port: 8786");
    unknown_field_without_suggestion: with(SIDECAR_2019, "admin:", "quux: 1\nadmin:");
    several_errors_at_once: with(
        &with(&with(SIDECAR_2019, "connect_timeout: 0.5s", "conect_timeout: 500ms"), "type: STATIC", "type: STATIK"),
        "prefix: \"/api.Echo/\"",
        "prefix: \"/api.Echo/\"\n                  grpc: {}"
    );
    duplicate_key: with(SIDECAR_2019, "    type: STATIC", "    type: STATIC\n    connect_timeout: 1s");
    duplicate_key_in_both_cases: with(SIDECAR_2019, "    type: STATIC", "    type: STATIC\n    connectTimeout: 1s");
    bad_duration: with(SIDECAR_2019, "connect_timeout: 0.5s", "connect_timeout: 500ms");
    number_for_a_duration: with(SIDECAR_2019, "connect_timeout: 0.5s", "connect_timeout: 0.5");
    unknown_cluster: with(SIDECAR_2019, "cluster: echo-grpc", "cluster: ecoh-grpc");
    unknown_value: with(SIDECAR_2019, "lb_policy: ROUND_ROBIN", "lb_policy: ROUND_ROBBIN");
    unsupported_value: with(SIDECAR_2019, "lb_policy: ROUND_ROBIN", "lb_policy: RING_HASH");
    null_trap: with(SIDECAR_2019, "http2_protocol_options: {}", "http2_protocol_options:");
    null_trap_in_v3: with(SIDECAR_V3, "http2_protocol_options: {}", "http2_protocol_options:");
    no_http2: with(SIDECAR_2019, "    http2_protocol_options: {}\n", "");
    name_in_a_static_cluster: with(SIDECAR_2019, "\"127.0.0.1\"", "localhost");
    missing_field: with(SIDECAR_2019, "          stat_prefix: ingress_https\n", "");
    wrong_types: with(
        &with(SIDECAR_2019, "pass_through_mode: false", "pass_through_mode: no"),
        "stat_prefix: ingress_https",
        "stat_prefix: 7"
    );
    empty_name: with(SIDECAR_2019, "stat_prefix: ingress_https", "stat_prefix: ''");
    pass_through_mode: with(SIDECAR_2019, "pass_through_mode: false", "pass_through_mode: true");
    router_not_last: with(SIDECAR_2019, "          http_filters:\n", "          http_filters:\n          - name: envoy.router\n");
    router_missing: with(SIDECAR_2019, "          - name: envoy.router\n            config: {}\n", "");
    header_name: with(SIDECAR_2019, "name: \":path\"", "name: \":paht\"");
    rds: with(SIDECAR_2019, "route_config:", "rds: {}\n          route_cofig:");
    upstream_tls: with(SIDECAR_2019, "    type: STATIC", "    type: STATIC\n    tls_context: {}");
    tabs: with(SIDECAR_2019, "  listeners:", "\tlisteners:");
    unclosed_quote: with(SIDECAR_2019, "path: \"/dev/stdout\"", "path: \"/dev/stdout");
    not_a_mapping: "- a\n- b\n";
    empty: "";
    only_comments: "# nothing\n---\n";
    two_documents: "node: {}\n---\nnode: {}\n";
    crlf: "node: {}\r\nadmni: {}\r\n";
}

#[test]
fn duplicates_between_messages() {
    let text = "static_resources:
  clusters:
  - {name: a}
  - {name: a}
  listeners:
  - &l
    name: one
    address: {socket_address: {address: 127.0.0.1, port_value: 80}}
    filter_chains:
    - filters:
      - name: envoy.http_connection_manager
        config:
          stat_prefix: s
          route_config:
            virtual_hosts:
            - {name: x, domains: [a.test, \"*\"]}
            - {name: y, domains: [A.test, \"*\"]}
          http_filters: [{name: envoy.router}]
  - *l
";
    assert_eq!(codes(text), [Code::DuplicateCluster, Code::Domain, Code::Domain]);
    let text = text.replace("a.test, \"*\"", "b.test");
    assert_eq!(codes(&text), [Code::DuplicateCluster, Code::DuplicateListener, Code::DuplicateListener]);
}

#[test]
fn names_are_compared_whatever_else_is_wrong() {
    let unknown = with(SIDECAR_2019, "cluster: echo-grpc", "cluster: ecoh-grpc");
    for (from, to, code) in [
        ("connect_timeout: 0.5s", "connect_timeout: 500ms", Code::Duration),
        ("stat_prefix: ingress_https", "stat_prefix: 7", Code::Type),
        ("admin:", "quux: 1\nadmin:", Code::UnknownField),
    ] {
        let mut found = codes(&with(&unknown, from, to));
        found.sort();
        assert_eq!(found, [code, Code::UnknownCluster], "{to}");
    }
    // Which clusters there are is not known here.
    assert_eq!(codes(&with(&unknown, "  clusters:", "  clutsers:")), [Code::UnknownField]);
    assert_eq!(codes(&with(&unknown, "  - name: echo-grpc", "  - nmae: echo-grpc")), [Code::UnknownField]);
    assert_eq!(codes(&with(&unknown, "  clusters:\n", "  clusters:\n  - 7\n")), [Code::Type]);
}

mod secrets {
    use super::*;

    const SECRET: &str = "c2VjcmV0";

    fn edge(key: &str) -> String {
        with(EDGE_2019, "              filename: \"/etc/ssl/envoy/tls.key\"", &format!("              {key}"))
    }

    #[track_caller]
    fn hides(text: &str) -> String {
        let errors = errors(text);
        let shown = format!("{errors} {errors:?} {}", errors.render(Style::Colored));
        assert!(!shown.contains(SECRET), "{shown}");
        errors.to_string()
    }

    #[test]
    fn are_not_printed() {
        let same_line = edge(&format!("{{inline_string: {SECRET}, filname: x}}"));
        insta::assert_snapshot!(hides(&same_line));
    }

    #[test]
    fn are_not_printed_whatever_is_wrong() {
        hides(&edge(&format!("inline_string: [{SECRET}]")));
        hides(&edge(&format!("inline_bytes: {SECRET}!")));
        hides(&edge(&format!("inlineBytes: {SECRET}!")));
        hides(&edge(&format!("inlne_string: {SECRET}")));
        hides(&edge(&format!("inline_string: |\n                {SECRET}\n              filename: x")));
        hides(&edge(&format!("inline_string: {SECRET}\n              inline_string: {SECRET}")));
        hides(&edge(&format!("inline_string: \"{SECRET}")));
        hides(&edge(&format!("inline_string: {SECRET}\n\t- x")));
        hides(&edge(&format!("inline_string: |\n                -----BEGIN PRIVATE KEY-----\n{SECRET}\n")));
        hides(&with(
            EDGE_2019,
            "            private_key:\n              filename: ",
            &format!("            private_key: {SECRET} #"),
        ));
        hides(&with(
            EDGE_2019,
            "private_key:",
            &format!("privat_key: {{inline_string: {SECRET}}}\n            privte_key:"),
        ));
        hides(&with(EDGE_2019, "admin:", &format!("x: \"-----BEGIN PRIVATE KEY-----{SECRET}\"\nadmin:")));
    }
}

mod limits {
    use super::*;

    #[test]
    fn depth() {
        let nested = |depth: usize| format!("node: {}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(codes(&nested(62)), [Code::Type]);
        for depth in [64, 65, 1000, 100_000] {
            assert_eq!(codes(&nested(depth)), [Code::Limit], "{depth}");
        }
        let block: String = (0..70).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        insta::assert_snapshot!(rendered(&block));
    }

    #[test]
    fn alias_bombs() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let uses = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
        }
        insta::assert_snapshot!(rendered(&laughs));
        // Few aliases, each of a long text.
        let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 10_000].join(", "));
        assert_eq!(codes(&long), [Code::Limit]);
        assert_eq!(codes("node: &a {id: *a}\n"), [Code::Syntax]);
        let aliases: String = (0..60).map(|level| format!("a{level}: &a{level} {{x: *a{}}}\n", level - 1)).collect();
        let aliases = aliases.replace("*a-1", "1");
        assert_eq!(errors(&aliases).len(), 60);
        let deep: String = (0..80).map(|level| format!("a{level}: &a{level} {{x: *a{}}}\n", level - 1)).collect();
        assert_eq!(codes(&deep.replace("*a-1", "1")), [Code::Limit]);
    }

    #[test]
    fn size() {
        let large = format!("# {}\n", "x".repeat(crate::envoy::yaml::MAX_BYTES));
        assert_eq!(codes(&large), [Code::Limit]);
        let many = format!("node: [{}]", "1,".repeat(100_001));
        assert_eq!(codes(&many), [Code::Limit]);
    }

    #[test]
    fn number_of_errors() {
        let many: String = (0..1000).map(|n| format!("wrong{n}: 1\n")).collect();
        let errors = errors(&many);
        assert_eq!((errors.len(), errors.iter().count()), (1000, 100));
        assert!(errors.to_string().ends_with("error: envoy.yaml has 1000 errors, 100 shown"));
    }

    #[test]
    fn long_lines_are_not_shown() {
        let text = format!("{{\"nod\": \"{}\"}}", "x".repeat(5000));
        insta::assert_snapshot!(rendered(&text));
    }
}
