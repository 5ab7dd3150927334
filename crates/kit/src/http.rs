//! `http_request`: a few pages with certified responses (HTTP gateway protocol, "Response verification", version 2).
//!
//! ```text
//! every minute: Status ─► pages ─► Site: bodies, headers, and the subtree of their hashes ─► root of `http_expr`
//! a request:    path ─► page or the 404 page ─► with the subnet's certificate and the whole subtree
//! ```
//!
//! | path | what |
//! | --- | --- |
//! | `/` | a page for people ([`status`]) |
//! | `/metrics` | the same figures for Prometheus |
//! | all others | a certified 404 |
//!
//! The subtree of a few pages is so small that every response carries it whole. So nothing is pruned for a request, absence
//! needs no case of its own, and a request costs the same whatever its path.
//!
//! Invariants:
//! - What is certified is a whole response: status, body and every header. A node can't leave any of them out, nor answer
//!   for one path with the page of another, nor with the 404 page for a page that exists.
//! - Pages are rendered and certified together, in `init`, in `post_upgrade`, and then by timer, at most once in
//!   [`RENDER_INTERVAL_NS`]. They state the time at which they were.
//! - A page loads nothing, runs nothing, and holds nothing unescaped.
//!
//! Cost: rendering hashes each page once; a request encodes the subtree and the certificate, some 2 KB, in base64, and
//! copies the page. The site is in the heap.

pub mod status;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ic_certification::SubtreeLookupResult;
use ic_http_certification::{
    CERTIFICATE_EXPRESSION_HEADER_NAME, CERTIFICATE_HEADER_NAME, DefaultCelBuilder,
    DefaultResponseCertification, HttpCertification, HttpCertificationPath, HttpCertificationTree,
    HttpCertificationTreeEntry, StatusCode, utils::PATH_PREFIX,
};
use indus_api::Error;

use crate::{
    codes::{PAGES_NOT_CERTIFIED, internal},
    text::invalid,
};

pub use ic_http_certification::{HttpRequest, HttpResponse};
pub use status::Status;

/// Label of the certified tree under which a site's subtree lies.
pub const LABEL: &str = PATH_PREFIX;
/// Least time between two renderings, in nanoseconds: a minute.
pub const RENDER_INTERVAL_NS: u64 = 60_000_000_000;
/// Most pages of a site, so that its whole subtree stays small enough for each response.
pub const MAX_PAGES: usize = 10;
/// Longest body, in bytes: what can be hashed every minute without being noticed.
pub const MAX_BODY_BYTES: usize = 65_536;

/// The only style of all pages; [`POLICY`] names its SHA-256.
const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;\
max-width:46rem;padding:0 1rem}table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid;padding:.3rem .6rem;\
text-align:start;overflow-wrap:anywhere}";
/// Content Security Policy: nothing but that style.
const POLICY: &str = "default-src 'none'; style-src 'sha256-u0SZHqq3iOIjIgGbQNB+ZOC17xm8zxZM6nBM8tapuBw='; \
base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Headers of every page, whatever it holds.
const SECURITY_HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-cache"),
];

/// A page to be certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is: `/`, or `/` and a name.
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: String,
}

/// Rendered pages, and the certification of their responses.
pub struct Site {
    rendered_at_ns: u64,
    root: [u8; 32],
    subtree: Vec<u8>,
    pages: Vec<(&'static str, Rendered)>,
    not_found: Rendered,
}

struct Rendered {
    response: HttpResponse<'static>,
    /// Where its certification is in the tree, as the certificate header has it.
    expression_path: String,
}

impl Site {
    /// Certifies the responses of `pages`, and of a 404 page for every other path.
    ///
    /// # Errors
    /// [`Error::LimitReached`] for too many pages; [`Error::Invalid`] for a body that is too long; [`Error::Internal`] if
    /// the certification fails.
    pub fn render(time_ns: u64, pages: Vec<Page>) -> Result<Self, Error> {
        if pages.len() > MAX_PAGES {
            return Err(Error::LimitReached {
                limit: MAX_PAGES as u64,
                what: "pages".into(),
            });
        }
        let mut tree = HttpCertificationTree::default();
        let mut rendered = Vec::new();
        for page in pages {
            if page.body.len() > MAX_BODY_BYTES {
                let reason = format!("must be at most {MAX_BODY_BYTES} bytes long");
                return Err(invalid(page.path, reason));
            }
            let path = HttpCertificationPath::exact(page.path);
            let certified = certified(
                &mut tree,
                &path,
                StatusCode::OK,
                page.content_type,
                page.body,
            )?;
            rendered.push((page.path, certified));
        }
        let not_found = certified(
            &mut tree,
            &HttpCertificationPath::wildcard(""),
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "There is no such page.\n".into(),
        )?;
        let SubtreeLookupResult::Found(subtree) = tree.as_hash_tree().lookup_subtree([LABEL])
        else {
            return Err(not_certified());
        };
        Ok(Self {
            rendered_at_ns: time_ns,
            root: subtree.digest(),
            subtree: serde_cbor::to_vec(&subtree).map_err(|_| not_certified())?,
            pages: rendered,
            not_found,
        })
    }

    /// Whether it is time to render again.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.rendered_at_ns) >= RENDER_INTERVAL_NS
    }

    /// The hash of the subtree below [`LABEL`].
    #[must_use]
    pub fn root_hash(&self) -> [u8; 32] {
        self.root
    }

    /// The whole subtree below [`LABEL`]: CBOR of a hash tree, without tag.
    #[must_use]
    pub fn subtree(&self) -> &[u8] {
        &self.subtree
    }

    /// Answers a request. `whole_tree` makes of [`Site::subtree`] the CBOR of the canister's tree that shows it, with the tag
    /// 55799 ("self-described"). Without a certificate (in a replicated call) the response is the same, but for its proof.
    ///
    /// The method and the query of a request make no difference, because the certification doesn't look at them.
    #[must_use]
    pub fn respond(
        &self,
        request: &HttpRequest<'_>,
        certificate: Option<&[u8]>,
        whole_tree: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> HttpResponse<'static> {
        let path = request.get_path();
        let page = self
            .pages
            .iter()
            .find(|(known, _)| path.as_ref().is_ok_and(|path| is_same(path, known)))
            .map_or(&self.not_found, |(_, page)| page);
        let mut response = page.response.clone();
        if let Some(certificate) = certificate {
            let proof = format!(
                "certificate=:{}:, tree=:{}:, expr_path=:{}:, version=2",
                BASE64.encode(certificate),
                BASE64.encode(whole_tree(&self.subtree)),
                page.expression_path,
            );
            response.add_header((CERTIFICATE_HEADER_NAME.into(), proof));
        }
        response
    }
}

/// Whether two paths are one to a gateway: it drops empty segments, except that a path may end with `/`.
fn is_same(one: &str, other: &str) -> bool {
    fn segments(path: &str) -> impl Iterator<Item = &str> {
        path.split('/').filter(|segment| !segment.is_empty())
    }
    one.ends_with('/') == other.ends_with('/') && segments(one).eq(segments(other))
}

/// Makes a response and puts its certification into the tree.
fn certified(
    tree: &mut HttpCertificationTree,
    path: &HttpCertificationPath<'_>,
    status: StatusCode,
    content_type: &str,
    body: String,
) -> Result<Rendered, Error> {
    let expression = DefaultCelBuilder::response_only_certification()
        .with_response_certification(DefaultResponseCertification::response_header_exclusions(
            vec![],
        ))
        .build();
    let headers = [
        ("content-type", content_type),
        (CERTIFICATE_EXPRESSION_HEADER_NAME, &expression.to_string()),
    ]
    .iter()
    .chain(&SECURITY_HEADERS)
    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
    .collect();
    let response = HttpResponse::builder()
        .with_status_code(status)
        .with_headers(headers)
        .with_body(body.into_bytes())
        .build();
    let certification = HttpCertification::response_only(&expression, &response, None)
        .map_err(|_| not_certified())?;
    tree.insert(&HttpCertificationTreeEntry::new(path, certification));
    let expression_path = serde_cbor::to_vec(&path.to_expr_path()).map_err(|_| not_certified())?;
    Ok(Rendered {
        response,
        expression_path: BASE64.encode(expression_path),
    })
}

fn not_certified() -> Error {
    internal(PAGES_NOT_CERTIFIED)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn page(path: &'static str, length: usize) -> Page {
        Page {
            path,
            content_type: "text/plain",
            body: "a".repeat(length),
        }
    }

    #[test]
    fn the_policy_allows_the_style_and_nothing_else() {
        let hash = BASE64.encode(Sha256::digest(STYLE));
        assert!(POLICY.contains(&format!("style-src 'sha256-{hash}';")));
        assert!(POLICY.starts_with("default-src 'none'"));
    }

    #[test]
    fn pages_are_bounded() {
        assert!(Site::render(1, vec![page("/", MAX_BODY_BYTES)]).is_ok());
        assert_eq!(
            Site::render(1, vec![page("/", MAX_BODY_BYTES + 1)]).err(),
            Some(invalid("/", "must be at most 65536 bytes long"))
        );
        assert_eq!(
            Site::render(1, vec![page("/", 1); MAX_PAGES + 1]).err(),
            Some(Error::LimitReached {
                limit: 10,
                what: "pages".into()
            })
        );
    }

    #[test]
    fn a_site_is_rendered_again_after_a_minute() {
        let site = Site::render(1_000, vec![]).unwrap();
        assert!(!site.is_due(999) && !site.is_due(1_000 + RENDER_INTERVAL_NS - 1));
        assert!(site.is_due(1_000 + RENDER_INTERVAL_NS));
    }
}
