//! Every kind of message and way to consume, as far as the official Rust client has it: it has neither a push consumer, nor
//! ChangeInvisibleDuration, nor RecallMessage. Each feature uses the topic and the consumer group PREFIX-FEATURE, which have
//! to be there, with the type that the feature needs.
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq::conf::{ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{MessageBuilder, MessageView};
use rocketmq::model::transaction::{Transaction, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};

use crate::client;

const FEATURE_TIMEOUT: Duration = Duration::from_secs(40);
const INVISIBLE: Duration = Duration::from_secs(30);
const LACKING: &str = "the client lacks it";

type Outcome = Result<(), String>;

/// Tries the features side by side. Gives by feature "ok", or what is wrong.
pub async fn kinds(endpoint: &str, prefix: &str, wanted: &[String]) -> HashMap<String, String> {
    let mut running = Vec::new();
    for feature in wanted {
        let (endpoint, feature) = (endpoint.to_string(), feature.clone());
        let topic = format!("{prefix}-{feature}");
        running.push(tokio::spawn(async move {
            let outcome = match feature.as_str() {
                "fifo" => fifo(&endpoint, &topic).await,
                "tags" => tags(&endpoint, &topic).await,
                "sql" => sql(&endpoint, &topic).await,
                "delay" => delay(&endpoint, &topic).await,
                "transaction" => transaction(&endpoint, &topic).await,
                "dlq" => dlq(&endpoint, &topic).await,
                _ => Err(LACKING.to_string()),
            };
            (feature, outcome.err().unwrap_or_else(|| "ok".to_string()))
        }));
    }
    let mut outcomes = HashMap::new();
    for task in running {
        let (feature, outcome) = task.await.expect("a feature that ends");
        outcomes.insert(feature, outcome);
    }
    outcomes
}

/// 30 messages in three message groups come in order.
async fn fifo(endpoint: &str, topic: &str) -> Outcome {
    let producer = producer(endpoint, topic).await?;
    for sequence in 0..10 {
        for group in 0..3 {
            let body = sequence.to_string().into_bytes();
            let message = MessageBuilder::fifo_message_builder(topic, body, group.to_string());
            producer.send(message.build().map_err(text)?).await.map_err(text)?;
        }
    }
    let mut got: HashMap<String, Vec<String>> = HashMap::new();
    for view in collect(endpoint, topic, &every(), 30).await? {
        let group = view.message_group().unwrap_or_default().to_string();
        got.entry(group).or_default().push(body_of(&view));
    }
    let expected: Vec<String> = (0..10).map(|sequence| sequence.to_string()).collect();
    match got.values().find(|order| **order != expected) {
        Some(order) => Err(format!("out of order: {order:?}")),
        None => Ok(()),
    }
}

async fn tags(endpoint: &str, topic: &str) -> Outcome {
    let filter = FilterExpression::new(FilterType::Tag, "red || blue");
    filtered(endpoint, topic, filter, "blue 0, blue 1, blue 2, red 0, red 1, red 2").await
}

async fn sql(endpoint: &str, topic: &str) -> Outcome {
    let filter = FilterExpression::new(FilterType::Sql, "color <> 'green' AND number > 0");
    filtered(endpoint, topic, filter, "blue 1, blue 2, red 1, red 2").await
}

async fn filtered(endpoint: &str, topic: &str, filter: FilterExpression, expected: &str) -> Outcome {
    let producer = producer(endpoint, topic).await?;
    for color in ["red", "green", "blue"] {
        for number in 0..3 {
            let properties = HashMap::from([
                ("color".to_string(), color.to_string()),
                ("number".to_string(), number.to_string()),
            ]);
            let message = plain(topic, &format!("{color} {number}")).set_tag(color);
            let message = message.set_properties(properties).build().map_err(text)?;
            producer.send(message).await.map_err(text)?;
        }
    }
    bodies_are(endpoint, topic, &filter, expected).await
}

async fn delay(endpoint: &str, topic: &str) -> Outcome {
    let producer = producer(endpoint, topic).await?;
    // The client counts whole seconds.
    let due = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?.as_secs() + 3;
    let message = MessageBuilder::delay_message_builder(topic, b"later".to_vec(), due as i64);
    producer.send(message.build().map_err(text)?).await.map_err(text)?;
    let consumer = consumer(endpoint, topic, topic).await?;
    let views = consumer.receive_with(topic, &every(), 1, INVISIBLE).await.map_err(text)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?;
    let late = now.as_millis() as i64 - due as i64 * 1000;
    if !(0..=1_000).contains(&late) {
        return Err(format!("late by {late} ms"));
    }
    let view = views.first().ok_or("nothing came")?;
    consumer.ack(view).await.map_err(text)
}

/// One transaction is committed, one rolled back, and one left to the check, which commits it.
async fn transaction(endpoint: &str, topic: &str) -> Outcome {
    let check = |_id: String, view: MessageView| match body_of(&view).as_str() {
        "left open" => TransactionResolution::COMMIT,
        _ => TransactionResolution::ROLLBACK,
    };
    let option = producer_option(topic);
    let mut producer = Producer::new_transaction_producer(option, client(endpoint), Box::new(check))
        .map_err(text)?;
    producer.start().await.map_err(text)?;
    for body in ["committed", "rolled back", "left open"] {
        let message = MessageBuilder::transaction_message_builder(topic, body.as_bytes().to_vec());
        let message = message.build().map_err(text)?;
        let transaction = producer.send_transaction_message(message).await.map_err(text)?;
        match body {
            "committed" => transaction.commit().await.map_err(text)?,
            "rolled back" => transaction.rollback().await.map_err(text)?,
            _ => {}
        }
    }
    bodies_are(endpoint, topic, &every(), "committed, left open").await
}

/// Delivered twice and never acknowledged: then it is a dead letter.
async fn dlq(endpoint: &str, topic: &str) -> Outcome {
    let producer = producer(endpoint, topic).await?;
    producer.send(plain(topic, "dead").build().map_err(text)?).await.map_err(text)?;
    let consumer = consumer(endpoint, topic, topic).await?;
    let shortest = Duration::from_secs(10);
    let end = Instant::now() + FEATURE_TIMEOUT;
    let mut attempts = 0;
    while attempts < 2 && Instant::now() < end {
        let views = consumer.receive_with(topic, &every(), 1, shortest).await;
        attempts += views.unwrap_or_default().len();
    }
    let dead = format!("%DLQ%{topic}");
    while Instant::now() < end {
        // Who asks makes the second delivery end, and the topic is made by the first dead letter.
        let _ = consumer.receive_with(topic, &every(), 1, shortest).await;
        let views = consumer.receive_with(&dead, &every(), 1, INVISIBLE).await.unwrap_or_default();
        if let Some(view) = views.first() {
            return expect(&body_of(view), "dead");
        }
    }
    Err(format!("no dead letter after {attempts} deliveries"))
}

async fn bodies_are(endpoint: &str, topic: &str, filter: &FilterExpression, expected: &str) -> Outcome {
    let count = expected.split(", ").count();
    let views = collect(endpoint, topic, filter, count).await?;
    let mut bodies: Vec<String> = views.iter().map(body_of).collect();
    bodies.sort();
    expect(&bodies.join(", "), expected)
}

/// `count` messages, acknowledged, and what else comes within a further poll.
async fn collect(
    endpoint: &str,
    topic: &str,
    filter: &FilterExpression,
    count: usize,
) -> Result<Vec<MessageView>, String> {
    let consumer = consumer(endpoint, topic, topic).await?;
    let mut all = Vec::new();
    let end = Instant::now() + FEATURE_TIMEOUT;
    while Instant::now() < end {
        let is_last = all.len() >= count;
        // An empty poll is an error to this client.
        let views = consumer.receive_with(topic, filter, 32, INVISIBLE).await.unwrap_or_default();
        for view in views {
            consumer.ack(&view).await.map_err(text)?;
            all.push(view);
        }
        if is_last {
            break;
        }
    }
    Ok(all)
}

fn plain(topic: &str, body: &str) -> MessageBuilder {
    MessageBuilder::builder().set_topic(topic).set_body(body.as_bytes().to_vec())
}

fn producer_option(topic: &str) -> ProducerOption {
    let mut option = ProducerOption::default();
    option.set_topics(vec![topic]);
    option
}

async fn producer(endpoint: &str, topic: &str) -> Result<Producer, String> {
    let mut producer = Producer::new(producer_option(topic), client(endpoint)).map_err(text)?;
    producer.start().await.map_err(text)?;
    Ok(producer)
}

async fn consumer(endpoint: &str, topic: &str, group: &str) -> Result<SimpleConsumer, String> {
    let mut option = SimpleConsumerOption::default();
    option.set_topics(vec![topic]);
    option.set_consumer_group(group);
    let mut consumer = SimpleConsumer::new(option, client(endpoint)).map_err(text)?;
    consumer.start().await.map_err(text)?;
    Ok(consumer)
}

fn every() -> FilterExpression {
    FilterExpression::new(FilterType::Tag, "*")
}

fn body_of(view: &MessageView) -> String {
    String::from_utf8_lossy(view.body()).into_owned()
}

fn expect(got: &str, expected: &str) -> Outcome {
    if got == expected { Ok(()) } else { Err(format!("got {got}")) }
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
