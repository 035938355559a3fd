//! The official Rust client against a running broker, with its default settings (plaintext). It uses one address for
//! all of its work, whatever the routes say.
//!
//! Usage: cometmq-clients ENDPOINT TOPIC COUNT: prints one JSON line and exits with 0 only when all came. The published
//! crate has no push consumer. Or: cometmq-clients kinds ENDPOINT PREFIX FEATURE…: prints what came of each feature.
mod kinds;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::MessageBuilder;
use rocketmq::{Producer, SimpleConsumer};

const ROUND: Duration = Duration::from_secs(60);

fn client(endpoint: &str) -> ClientOption {
    let mut option = ClientOption::default();
    option.set_access_url(endpoint);
    option.set_enable_tls(false);
    option
}

async fn send(endpoint: &str, topic: &str, count: usize) -> usize {
    let mut option = ProducerOption::default();
    option.set_topics(vec![topic]);
    let mut producer = Producer::new(option, client(endpoint)).expect("a producer");
    producer.start().await.expect("the producer to start");
    for i in 0..count {
        let message = MessageBuilder::builder()
            .set_topic(topic)
            .set_tag("rust")
            .set_keys(vec![format!("rust-{i}")])
            .set_body(format!("rust {i}").into_bytes())
            .build()
            .expect("a message");
        producer.send(message).await.expect("the message to be stored");
    }
    producer.shutdown().await.expect("the producer to end");
    count
}

async fn receive(endpoint: &str, topic: &str, count: usize) -> usize {
    let mut option = SimpleConsumerOption::default();
    option.set_topics(vec![topic]);
    option.set_consumer_group(format!("{topic}-simple"));
    let mut consumer = SimpleConsumer::new(option, client(endpoint)).expect("a consumer");
    consumer.start().await.expect("the consumer to start");
    let mut seen = HashSet::new();
    let end = Instant::now() + ROUND;
    while seen.len() < count && Instant::now() < end {
        let filter = FilterExpression::new(FilterType::Tag, "*");
        let messages = consumer.receive(topic, &filter).await.unwrap_or_default();
        for message in messages {
            consumer.ack(&message).await.expect("the acknowledgement to be taken");
            seen.insert(message.message_id().to_string());
        }
    }
    consumer.shutdown().await.expect("the consumer to end");
    seen.len()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, endpoint, prefix, features @ ..] = arguments.as_slice() {
        if mode == "kinds" {
            let outcomes = kinds::kinds(endpoint, prefix, features).await;
            let pairs: Vec<String> =
                outcomes.iter().map(|(feature, outcome)| format!("{feature:?}:{outcome:?}")).collect();
            println!("{{{}}}", pairs.join(","));
            std::process::exit(0);
        }
    }
    let [_, endpoint, topic, count] = arguments.as_slice() else {
        eprintln!("usage: cometmq-clients ENDPOINT TOPIC COUNT");
        std::process::exit(2);
    };
    let count: usize = count.parse().expect("COUNT to be a number");
    let sent = send(endpoint, topic, count).await;
    let simple = receive(endpoint, topic, count).await;
    println!("{{\"sent\":{sent},\"simple\":{simple}}}");
    std::process::exit(if sent == count && simple == count { 0 } else { 1 });
}
