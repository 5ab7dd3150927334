//! Status (IC interface specification, "Status endpoint") and metrics (Prometheus text format 0.0.4).

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use engine::MethodMetrics;

use super::{App, cbor};

pub(super) async fn status(State(app): State<App>) -> Response {
    cbor(app.status.to_vec())
}

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let text = exposition(&app.executor.metrics());
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

fn exposition(methods: &[MethodMetrics]) -> String {
    let mut text = String::new();
    let mut counter = |name: &str, help: &str, value: fn(&MethodMetrics) -> u64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for method in methods {
            let (canister, name_of, kind) = (method.canister, escape(&method.method), method.kind);
            let labels = format!("canister=\"{canister}\",method=\"{name_of}\",kind=\"{kind}\"");
            let _ = writeln!(text, "{name}{{{labels}}} {}", value(method));
        }
    };
    counter("localnet_messages_total", "Messages executed.", |method| {
        method.messages
    });
    counter(
        "localnet_instructions_total",
        "Instructions executed.",
        |method| method.instructions,
    );
    text
}

/// Names of methods are the callers' choice, any text.
fn escape(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use candid::Principal;

    use super::*;

    #[test]
    fn a_name_of_a_method_cannot_forge_a_metric() {
        let method = MethodMetrics {
            canister: Principal::management_canister(),
            method: "a\"} 9\nlocalnet_messages_total{x=\"\\".into(),
            kind: "update",
            messages: 1,
            instructions: 2,
        };
        let text = exposition(&[method]);
        assert_eq!(text.lines().count(), 6);
        let label = r#"method="a\"} 9\nlocalnet_messages_total{x=\"\\",kind="update"} 1"#;
        assert!(text.contains(label), "{text}");
    }
}
