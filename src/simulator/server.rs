//! [`Simulator::serve`]: the listener and its connections, HTTP/1.1 over TCP.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::api::{self, Aborted};
use super::control;
use super::handle::Simulator;

/// The pause after a failed accept: what fails is usually a lack of descriptors, and an
/// immediate retry would only use CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Simulator {
    /// Serves the API on a listener until `stop` is done, then ends every connection where it stands,
    /// hung ones included. With [`Settings::control`](super::Settings::control) the listener should be
    /// on loopback.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let control = self.world.settings.control.then(|| self.control());
        let mut stop = pin!(stop);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(run_connection(self.clone(), control.clone(), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "simulator could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        connections.shutdown().await;
    }

    fn control(&self) -> Router {
        Router::new().nest("/_control", control::routes()).with_state(self.clone())
    }

    /// Hands a request to the control endpoints or to the API.
    async fn answer(
        self,
        control: Option<Router>,
        request: Request<Incoming>,
    ) -> Result<Response, Aborted> {
        match control {
            Some(mut control) if request.uri().path().starts_with("/_control/") => {
                let Ok(reply) = control.call(request).await;
                Ok(reply)
            }
            _ => api::answer(&self.world, request).await,
        }
    }
}

async fn run_connection(
    simulator: Simulator,
    control: Option<Router>,
    stream: TcpStream,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let service = service_fn(move |request| simulator.clone().answer(control.clone(), request));
    // Idle connections stay open, so that no client sees one closed under its next request.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    if (&mut connection).await.is_err_and(|error| aborted(&error)) {
        // Closing with a linger of zero sends a reset in place of an orderly end.
        connection.into_parts().io.into_inner().set_zero_linger()?;
    }
    Ok(())
}

fn aborted(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Aborted>)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::test_client::{Reply, Served, serve, settings};
    use super::super::{AccountCounts, Endpoint, Settings, Simulator};

    const PATH: &str = "/v2/counters/unanswered/1";
    const GET: &str = "GET /v2/counters/unanswered/1 HTTP/1.1\r\nhost: x\r\n\
                       authorization: Bearer token-a\r\n\r\n";
    /// Far beyond what a test takes; only a failing test waits for it.
    const DEADLINE: Duration = Duration::from_mins(1);

    async fn broken(fault: &str) -> Served {
        serve(Settings { faults: vec![fault.parse().unwrap()], ..settings() }).await
    }

    async fn get(fault: &str) -> Reply {
        broken(fault).await.get(PATH, "token-a").await
    }

    #[tokio::test]
    async fn answers_faults_that_have_an_answer() {
        let status = get("status=502").await;
        assert_eq!((status.status, &status.json()["data"]), (502, &json!({})));
        assert_eq!(get("status=401").await.json()["code"], "OAUTH_TOKEN_UNKNOWN_OR_REVOKED");
        let malformed = get("malformed").await;
        assert_eq!(malformed.status, 200);
        assert!(serde_json::from_str::<serde_json::Value>(&malformed.body).is_err());
        let oversized = get("oversized").await;
        assert!(oversized.body.len() > 200 * 1024 && oversized.json()["data"]["counter"] == 5);
        assert_eq!(get("body=nothing, really").await.body, "nothing, really");
        let redirect = get("redirect=http://127.0.0.1:1/").await;
        assert_eq!(
            (redirect.status, redirect.header("location")),
            (302, Some("http://127.0.0.1:1/"))
        );
        let later = get("retry_after=429:7").await;
        assert_eq!((later.status, later.header("retry-after")), (429, Some("7")));
        assert_eq!(get("latency=1ms..2ms").await.json()["data"]["counter"], 5);
    }

    #[tokio::test]
    async fn headers_go_with_the_answer_they_are_for() {
        let served = broken("user=1,header=Age: 10800").await;
        let date = "Wed, 21 Oct 2026 07:28:00 GMT";
        for more in
            ["header=Content-Encoding: gzip", &format!("endpoint=counter,header=Date: {date}")]
        {
            served.simulator.add_fault(more.parse().unwrap());
        }
        let reply = served.get(PATH, "token-a").await;
        assert_eq!((reply.status, &reply.json()["data"]["counter"]), (200, &json!(5)));
        let headers = ["age", "content-encoding", "date"].map(|name| reply.header(name));
        assert_eq!(headers, [Some("10800"), Some("gzip"), Some(date)]);
        assert_eq!(reply.count("date"), 1);
        let list = served.get("/v2/users", "token-a").await;
        assert_eq!((list.header("age"), list.header("date") == Some(date)), (None, false));
        served.simulator.add_fault("status=503".parse().unwrap());
        let refused = served.get(PATH, "token-a").await;
        assert_eq!((refused.status, refused.header("age")), (503, Some("10800")));
    }

    #[tokio::test]
    async fn a_compressed_answer_is_the_same_once_unpacked() {
        let served = broken("gzip").await;
        let closing = GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let (received, end) = served.exchange(&closing).await;
        end.unwrap();
        let end_of_head = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let (head, body) = received.split_at(end_of_head + 4);
        let head = String::from_utf8_lossy(head);
        assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
        let length = format!("content-length: {}\r\n", body.len());
        assert!(head.contains(&length), "{head}");
        let unpacked: serde_json::Value =
            serde_json::from_reader(flate2::read::GzDecoder::new(body)).unwrap();
        assert_eq!(unpacked["data"], json!({"counter": 5, "type": "red"}));
    }

    #[tokio::test]
    async fn a_reset_leaves_no_answer() {
        let served = broken("reset").await;
        let (received, end) = served.exchange(GET).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(received, b"");
        served.simulator.wait_until(|log| log.open == 0).await;
        assert_eq!(served.simulator.log().pop().unwrap().status, None);
        assert_eq!(served.simulator.counts().unanswered, 1);
    }

    #[tokio::test]
    async fn a_truncated_body_ends_before_its_length() {
        let served = broken("truncated").await;
        let (received, end) = served.exchange(GET).await;
        end.unwrap();
        let reply = Reply::parse(&received);
        assert_eq!((reply.status, reply.header("content-length")), (200, Some("64")));
        assert!(!reply.body.is_empty() && reply.body.len() < 64);
    }

    #[tokio::test]
    async fn a_hang_ends_when_the_server_stops() {
        let served = broken("hang").await;
        let simulator = served.simulator.clone();
        // The connection outlives the exchange, so that only the server can end the request.
        let mut stream = served.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        simulator.wait_until(|log| log.open == 1).await;
        assert_eq!(simulator.log()[0].status, None);
        timeout(DEADLINE, served.stop()).await.unwrap();
        assert_eq!((simulator.counts().open, simulator.counts().unanswered), (0, 1));
    }

    #[tokio::test]
    async fn a_client_that_gives_up_is_noted() {
        let served = broken("hang").await;
        let simulator = served.simulator.clone();
        tokio::select! {
            _ = served.exchange(GET) => panic!("a hung request was answered"),
            () = simulator.wait_until(|log| log.open == 1) => {}
        }
        timeout(DEADLINE, simulator.wait_until(|log| log.open == 0)).await.unwrap();
        assert_eq!(simulator.log()[0].status, None);
    }

    #[tokio::test]
    async fn counts_how_many_requests_were_open_at_once() {
        let served = broken("hang,count=2").await;
        let simulator = served.simulator.clone();
        let hung = || async { served.exchange(GET).await };
        tokio::select! {
            _ = async { tokio::join!(hung(), hung()) } => panic!("a hung request was answered"),
            () = simulator.wait_until(|log| log.open == 2) => {}
        }
        simulator.wait_until(|log| log.open == 0).await;
        assert_eq!(served.get(PATH, "token-a").await.status, 200);
        let counts = simulator.counts();
        let endpoints = [(Endpoint::Counter, 3)].into();
        let expected = AccountCounts { open: 0, max_open: 2, endpoints };
        assert_eq!(counts.accounts["acme"], expected);
        assert_eq!(counts.accounts["other"], AccountCounts::default());
    }

    #[tokio::test]
    async fn faults_come_and_go_while_serving() {
        let served = serve(settings()).await;
        served.simulator.add_fault("status=503".parse().unwrap());
        assert_eq!(served.get(PATH, "token-a").await.status, 503);
        served.simulator.clear_faults();
        assert_eq!(served.get(PATH, "token-a").await.status, 200);
        let statuses = served.simulator.counts().statuses;
        assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [(200, 1), (503, 1)]);
    }

    #[tokio::test]
    async fn a_connection_carries_many_requests() {
        let served = serve(settings()).await;
        let closing = GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        let (received, end) = served.exchange(&format!("{GET}{GET}{closing}")).await;
        end.unwrap();
        assert_eq!(String::from_utf8(received).unwrap().matches("HTTP/1.1 200").count(), 3);
    }

    #[tokio::test]
    async fn stops_at_once_when_stopped_before_it_starts() {
        let simulator = Simulator::new(Settings::demo(1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        timeout(DEADLINE, simulator.serve(listener, async {})).await.unwrap();
    }
}
