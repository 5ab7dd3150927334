//! What nobody should send: each is refused with one line, and the server lives on.

use crate::client::{agent, counter, post, server, url};
use candid::Principal;
use localnet::{MAX_BODY, MAX_CALL};

const SECOND: u64 = 1_000_000_000;

fn line(body: &[u8]) -> &str {
    let text = std::str::from_utf8(body).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_has_expired_is_refused_in_words_that_agents_know() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    for expiry in [now - SECOND, now + 600 * SECOND] {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(expiry);
        let signed = agent.update(&canister, "inc").expire_at(at).sign().unwrap();
        let (status, body) = post(
            &server,
            &format!("/api/v4/canister/{canister}/call"),
            signed.signed_update,
        )
        .await;
        assert_eq!(status, 400);
        assert!(line(&body).starts_with("Invalid request expiry: "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_wrong_address_is_refused() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    let signed = agent.update(&canister, "inc").sign().unwrap().signed_update;
    let other = server.identity().default_effective_canister_id;
    let other = if other == canister {
        Principal::from_slice(&[0, 0, 0, 0, 0, 0x1f, 0, 0, 1, 1])
    } else {
        other
    };
    for (path, status, text) in [
        (
            format!("/api/v4/canister/{other}/call"),
            400,
            "does not match",
        ),
        (
            "/api/v4/canister/not-a-principal/call".to_owned(),
            400,
            "not the text of a principal",
        ),
        (
            format!("/api/v4/canister/{canister}/query"),
            400,
            "request_type is not query",
        ),
        (
            format!(
                "/api/v4/subnet/{}/call",
                server.identity().application_subnet
            ),
            400,
            "management canister",
        ),
        (
            format!("/api/v5/canister/{canister}/call"),
            404,
            "nothing at this path",
        ),
        ("/".to_owned(), 404, "nothing at this path"),
    ] {
        let (got, body) = post(&server, &path, signed.clone()).await;
        assert_eq!(got, status, "{path}");
        assert!(line(&body).contains(text), "{path}: {}", line(&body));
    }
    let reply = agent.query(&canister, "get").call().await.unwrap();
    assert_eq!(reply, 0_u32.to_le_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canister_of_no_subnet_is_not_found() {
    let server = server().await;
    let agent = agent(&server, 1);
    let foreign = Principal::from_slice(&[0xff; 10]);
    let call = agent
        .update(&foreign, "inc")
        .call_and_wait()
        .await
        .unwrap_err();
    let query = agent.query(&foreign, "get").call().await.unwrap_err();
    let read = agent
        .read_state_canister_module_hash(foreign)
        .await
        .unwrap_err();
    for error in [call, query, read] {
        assert!(error.to_string().contains("canister_not_found"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_the_wrong_kind_or_size_is_refused() {
    let server = server().await;
    let canister = server.identity().default_effective_canister_id;
    let at = |endpoint: &str| format!("/api/v3/canister/{canister}/{endpoint}");

    let (status, body) = post(&server, &at("call"), vec![0; MAX_CALL + 1]).await;
    assert_eq!(
        (status, line(&body)),
        (413, "the body is larger than 2097152 bytes\n")
    );
    let (status, _) = post(&server, &at("query"), vec![0; MAX_BODY + 1]).await;
    assert_eq!(status, 413);
    let (status, _) = post(&server, &at("call"), vec![0; MAX_CALL]).await;
    assert_eq!(status, 400);

    let client = reqwest::Client::new();
    let plain = client
        .post(url(&server) + &at("call"))
        .body("{}")
        .header("content-type", "application/json");
    assert_eq!(plain.send().await.unwrap().status(), 415);
    let wrong_method = client.get(url(&server) + &at("call")).send().await.unwrap();
    assert_eq!(wrong_method.status(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_origin_may_call() {
    let server = server().await;
    let client = reqwest::Client::new();
    let preflight = client.request(
        reqwest::Method::OPTIONS,
        url(&server) + "/api/v3/canister/aaaaa-aa/query",
    );
    let preflight = preflight
        .header("origin", "https://example.pk")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers()["access-control-allow-headers"], "*");
    let status = client
        .get(url(&server) + "/api/v2/status")
        .send()
        .await
        .unwrap();
    assert_eq!(status.headers()["access-control-allow-origin"], "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_breaks_nothing() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    for _ in 0..100 {
        let call = {
            let agent = agent.clone();
            tokio::spawn(async move { agent.update(&canister, "inc").call_and_wait().await })
        };
        tokio::task::yield_now().await;
        call.abort();
    }
    agent
        .update(&canister, "inc")
        .call_and_wait()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_was_executed() {
    let server = server().await;
    let agent = agent(&server, 1);
    let canister = counter(&server, &agent).await;
    agent
        .update(&canister, "inc")
        .call_and_wait()
        .await
        .unwrap();
    let text = reqwest::get(url(&server) + "/_/metrics")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let counted = format!(
        "localnet_messages_total{{canister=\"{canister}\",method=\"inc\",kind=\"update\"}} 1"
    );
    assert!(text.contains(&counted), "{text}");
}
