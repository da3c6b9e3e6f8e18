//! HTTP clients of the tests. They use no proxy of the environment.

use reqwest::{Client, ClientBuilder};

pub(crate) fn builder() -> ClientBuilder {
    wazzup_exporter::transport::http_client().unwrap().no_proxy()
}

pub(crate) fn client() -> Client {
    builder().build().unwrap()
}
