//! TLS towards clients.

use crate::{
    envoy::{
        diagnostic::Code,
        reader::{FromConfig, Harmless, Read, Reader, Unsupported, Value},
    },
    proxy::config::{CertificateConfig, DownstreamTlsConfig},
};

/// `DownstreamTlsContext`.
pub(super) struct DownstreamTls(pub(super) DownstreamTlsConfig);

impl FromConfig for DownstreamTls {
    const MESSAGE: &'static str = "tls_context";
    const HARMLESS: &'static [Harmless] = &[
        ("prefer_client_ciphers", "every cipher suite on offer is a strong one"),
        ("full_scan_certs_on_sni_mismatch", "every certificate is looked at"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("keys of session tickets", &["session_ticket_keys", "session_ticket_keys_sds_secret_config"]),
        ("the life of sessions", &["session_timeout"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let common = reader.required::<Common>("common_tls_context");
        let client = reader.only("require_client_certificate", false);
        let sni = reader.only("require_sni", false);
        let stateless = reader.only("disable_stateless_session_resumption", false);
        let stateful = reader.only("disable_stateful_session_resumption", false);
        let staple = reader.choice(
            "ocsp_staple_policy",
            &[("LENIENT_STAPLING", Some(())), ("STRICT_STAPLING", None), ("MUST_STAPLE", None)],
        );
        let common = common?;
        for read in [client, sni, stateless, stateful, staple.map(|_| ())] {
            read?;
        }
        Ok(Self(common.0))
    }
}

/// `CommonTlsContext`.
struct Common(DownstreamTlsConfig);

impl FromConfig for Common {
    const MESSAGE: &'static str = "common_tls_context";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("certificates from elsewhere", &["tls_certificate_sds_secret_configs", "tls_certificate_provider_instance"]),
        ("certificates from elsewhere", &["tls_certificate_certificate_provider", "custom_tls_certificate_selector"]),
        ("certificates from elsewhere", &["tls_certificate_certificate_provider_instance"]),
        ("client certificates", &["validation_context", "validation_context_sds_secret_config"]),
        ("client certificates", &["combined_validation_context", "validation_context_certificate_provider"]),
        ("client certificates", &["validation_context_certificate_provider_instance", "deprecated_v1"]),
        ("another handshake", &["custom_handshaker"]),
        ("logging of keys", &["key_log"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let certificates = reader.list::<Certificate>("tls_certificates");
        let params = reader.optional::<TlsParams>("tls_params");
        let alpn = reader.get("alpn_protocols").map(alpn).transpose();
        let elsewhere = Self::UNSUPPORTED.iter().take(3).flat_map(|(_, names)| *names);
        let from_elsewhere = elsewhere.into_iter().any(|name| reader.is_set(name));
        let certificates: Vec<_> = certificates?.into_iter().map(|certificate| certificate.0).collect();
        if certificates.is_empty() && !from_elsewhere {
            return Err(reader.value().error(
                Code::MissingField,
                "TLS towards clients needs a certificate",
                "`tls_certificates` is missing",
            ));
        }
        params?;
        let mut config = DownstreamTlsConfig::new(certificates);
        config.alpn = alpn?.filter(|protocols| !protocols.is_empty());
        Ok(Self(config))
    }
}

/// A protocol may be several, separated by commas, as in many files of 2019.
fn alpn(value: Value<'_>) -> Read<Vec<String>> {
    let mut protocols = Vec::new();
    for item in value.items() {
        let text = item.read::<String>()?;
        for protocol in text.split(',') {
            if protocol.is_empty() || protocol.len() > 255 {
                return Err(item.invalid("a protocol of 1 to 255 bytes, `h2` for example"));
            }
            protocols.push(protocol.to_owned());
        }
    }
    Ok(protocols)
}

/// `TlsParameters`: what this version does anyway may be said.
struct TlsParams;

impl FromConfig for TlsParams {
    const MESSAGE: &'static str = "tls_params";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("a choice of cipher suites", &["cipher_suites", "signature_algorithms", "compliance_policies"]),
        ("a choice of curves", &["ecdh_curves"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let versions = |least: bool| {
            [
                ("TLS_AUTO", Some(())),
                ("TLSv1_0", None),
                ("TLSv1_1", None),
                ("TLSv1_2", least.then_some(())),
                ("TLSv1_3", (!least).then_some(())),
            ]
        };
        let least = reader.choice("tls_minimum_protocol_version", &versions(true));
        let most = reader.choice("tls_maximum_protocol_version", &versions(false));
        least?;
        most?;
        Ok(Self)
    }
}

/// `TlsCertificate`.
pub(super) struct Certificate(CertificateConfig);

impl FromConfig for Certificate {
    const MESSAGE: &'static str = "tls_certificate";
    const HARMLESS: &'static [Harmless] = &[("watched_directory", "files are watched through every link, unasked")];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("encrypted keys", &["password"]),
        ("PKCS#12 files", &["pkcs12"]),
        ("keys behind a provider", &["private_key_provider"]),
        ("stapled data", &["ocsp_staple", "signed_certificate_timestamp"]),
        ("parameters of one certificate", &["tls_params"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let elsewhere = ["pkcs12", "private_key_provider"].into_iter().any(|name| reader.is_set(name));
        let certificate_chain = if elsewhere { None } else { Some(reader.required("certificate_chain")) };
        let private_key = if elsewhere { None } else { Some(reader.required("private_key")) };
        match (certificate_chain, private_key) {
            (Some(chain), Some(key)) => {
                let (certificate_chain, private_key) = (chain?, key?);
                Ok(Self(CertificateConfig { certificate_chain, private_key }))
            }
            _ => Err(reader.value().error(Code::Unsupported, "a certificate is given as two PEM files", "")),
        }
    }
}
