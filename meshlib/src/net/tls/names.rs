//! The names a certificate is for, read from its DER.
//!
//! Only what choosing a certificate needs: the DNS names of the subject alternative name or, without any, the common
//! name of the subject, as Envoy does. A certificate that cannot be read this way has no names, and still serves as
//! the default.

/// The server names of one certificate, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerNames(Vec<String>);

/// How well a certificate fits the name a client asked for. The better fit is the lesser value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Exact,
    Wildcard,
    None,
}

impl ServerNames {
    /// The names of a certificate.
    pub(super) fn of(certificate: &[u8]) -> Self {
        Self(names(certificate).unwrap_or_default())
    }

    /// How well these names fit `server_name`. A wildcard stands for one label.
    pub(super) fn fit(&self, server_name: &str) -> Fit {
        if self.0.iter().any(|name| name.eq_ignore_ascii_case(server_name)) {
            return Fit::Exact;
        }
        let Some((_, parent)) = server_name.split_once('.') else { return Fit::None };
        let under = |name: &String| name.strip_prefix("*.").is_some_and(|suffix| suffix.eq_ignore_ascii_case(parent));
        if self.0.iter().any(under) { Fit::Wildcard } else { Fit::None }
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[0] EXPLICIT Version` of a TBSCertificate.
const VERSION: u8 = 0xa0;
/// `[3] EXPLICIT Extensions` of a TBSCertificate.
const EXTENSIONS: u8 = 0xa3;
/// `[2] IA5String`, the dNSName of a GeneralName.
const DNS_NAME: u8 = 0x82;
/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// RFC 5280, section 4.1: `Certificate`, then `TBSCertificate`.
fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let mut tbs = Der(Der(Der(certificate).content_of(SEQUENCE)?).content_of(SEQUENCE)?);
    let (first, _) = tbs.next()?;
    if first == VERSION {
        tbs.next()?; // the serial number; without a version it was the first field
    }
    for _signature_issuer_validity in 0..3 {
        tbs.content_of(SEQUENCE)?;
    }
    let subject = tbs.content_of(SEQUENCE)?;
    let _public_key = tbs.content_of(SEQUENCE)?;
    let extensions = std::iter::from_fn(|| tbs.next()).find(|(tag, _)| *tag == EXTENSIONS);
    let alternative = extensions.and_then(|(_, extensions)| alternative_names(extensions)).unwrap_or_default();
    Some(if alternative.is_empty() { common_names(subject) } else { alternative })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Der(Der(extensions).content_of(SEQUENCE)?);
    while let Some((_, extension)) = extensions.next() {
        let mut extension = Der(extension);
        if extension.content_of(OBJECT_IDENTIFIER)? != SUBJECT_ALTERNATIVE_NAME {
            continue;
        }
        // A BOOLEAN may stand before the value: whether the extension is critical.
        let (_, value) = std::iter::from_fn(|| extension.next()).find(|(tag, _)| *tag == OCTET_STRING)?;
        let mut general_names = Der(Der(value).content_of(SEQUENCE)?);
        let dns_names = std::iter::from_fn(|| general_names.next()).filter(|(tag, _)| *tag == DNS_NAME);
        return Some(dns_names.filter_map(|(_, name)| lower_case(name)).collect());
    }
    None
}

fn common_names(subject: &[u8]) -> Vec<String> {
    let mut relative_names = Der(subject);
    let attributes = std::iter::from_fn(|| relative_names.content_of(SET)).filter_map(|set| {
        let mut attribute = Der(Der(set).content_of(SEQUENCE)?);
        let is_common_name = attribute.content_of(OBJECT_IDENTIFIER)? == COMMON_NAME;
        let (_, value) = attribute.next()?;
        if is_common_name { lower_case(value) } else { None }
    });
    attributes.collect()
}

fn lower_case(name: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(name).ok()?.to_ascii_lowercase())
}

/// Walks the elements of one DER value. Never reads beyond it, never recurses.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element's tag and content; `None` at the end and where it is not DER.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element if it has this tag.
    fn content_of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().and_then(|(found, content)| (found == tag).then_some(content))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(sans: &[&str], common_name: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(sans.iter().map(|&san| san.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "meshlib tests");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn exact_is_better_than_wildcard_and_a_wildcard_is_one_label() {
        let names = ServerNames::of(&certificate(&["api.Example.com", "*.example.com", "10.0.0.1"], "cn.example"));
        assert_eq!(names.0, ["api.example.com", "*.example.com"]);
        assert_eq!(names.fit("API.example.com"), Fit::Exact);
        assert_eq!(names.fit("www.example.com"), Fit::Wildcard);
        assert_eq!(names.fit("a.b.example.com"), Fit::None);
        assert_eq!(names.fit("example.com"), Fit::None);
        assert_eq!(names.fit("cn.example"), Fit::None, "the common name counts only without DNS names");
        assert!(Fit::Exact < Fit::Wildcard && Fit::Wildcard < Fit::None);
    }

    #[test]
    fn the_common_name_stands_in() {
        assert_eq!(ServerNames::of(&certificate(&[], "cn.example")).0, ["cn.example"]);
        assert_eq!(ServerNames::of(&certificate(&["10.0.0.1"], "cn.example")).0, ["cn.example"]);
    }

    #[test]
    fn broken_certificates_have_no_names_and_never_panic() {
        let good = certificate(&["a.example", "*.b.example"], "cn.example");
        for end in 0..good.len() {
            assert_eq!(ServerNames::of(&good[..end]), ServerNames::default());
        }
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..20_000 {
            let mut broken = good.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..broken.len());
                broken[at] = random.u8(..);
            }
            ServerNames::of(&broken).fit("a.example");
        }
    }
}
