// The official Go client against a running broker, with its default settings (TLS on).
// Usage: clients ENDPOINT TOPIC COUNT, or clients kinds ENDPOINT PREFIX FEATURE...
// Prints one JSON line and exits with 0 only when all came.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

const roundTimeout = 60 * time.Second

func config(endpoint, group string) *rmq.Config {
	return &rmq.Config{Endpoint: endpoint, ConsumerGroup: group, Credentials: &credentials.SessionCredentials{}}
}

func main() {
	if os.Args[1] == "kinds" {
		kinds(os.Args[2], os.Args[3], os.Args[4:])
		return
	}
	endpoint, topic := os.Args[1], os.Args[2]
	count, err := strconv.Atoi(os.Args[3])
	check(err, "count")
	sent := send(endpoint, topic, count)
	simple := receiveSimple(endpoint, topic, count)
	push := receivePush(endpoint, topic, count)
	line, _ := json.Marshal(map[string]int{"sent": sent, "simple": simple, "push": push})
	fmt.Println(string(line))
	if sent != count || simple != count || push != count {
		os.Exit(1)
	}
}

func send(endpoint, topic string, count int) int {
	producer, err := rmq.NewProducer(config(endpoint, ""), rmq.WithTopics(topic))
	check(err, "new producer")
	check(producer.Start(), "producer start")
	defer producer.GracefulStop()
	var sent int
	for i := 0; i < count; i++ {
		message := &rmq.Message{Topic: topic, Body: []byte(fmt.Sprintf("go %d", i))}
		message.SetTag("go")
		message.SetKeys(fmt.Sprintf("go-%d", i))
		message.AddProperty("index", strconv.Itoa(i))
		receipts, err := producer.Send(context.Background(), message)
		check(err, "send")
		sent += len(receipts)
	}
	return sent
}

func receiveSimple(endpoint, topic string, count int) int {
	consumer, err := rmq.NewSimpleConsumer(config(endpoint, topic+"-simple"),
		rmq.WithSimpleAwaitDuration(5*time.Second),
		rmq.WithSimpleSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.SUB_ALL}))
	check(err, "new simple consumer")
	check(consumer.Start(), "simple consumer start")
	defer consumer.GracefulStop()
	seen := map[string]bool{}
	for end := time.Now().Add(roundTimeout); len(seen) < count && time.Now().Before(end); {
		views, err := consumer.Receive(context.Background(), 32, 20*time.Second)
		if err != nil {
			continue // an empty poll is an error to this client
		}
		for _, view := range views {
			check(consumer.Ack(context.Background(), view), "ack")
			seen[view.GetMessageId()] = true
		}
	}
	return len(seen)
}

func receivePush(endpoint, topic string, count int) int {
	var mutex sync.Mutex
	seen := map[string]bool{}
	all := make(chan struct{})
	listener := &rmq.FuncMessageListener{Consume: func(view *rmq.MessageView) rmq.ConsumerResult {
		mutex.Lock()
		defer mutex.Unlock()
		known := seen[view.GetMessageId()]
		seen[view.GetMessageId()] = true
		if !known && len(seen) == count {
			close(all)
		}
		return rmq.SUCCESS
	}}
	consumer, err := rmq.NewPushConsumer(config(endpoint, topic+"-push"),
		rmq.WithPushAwaitDuration(5*time.Second),
		rmq.WithPushSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.SUB_ALL}),
		rmq.WithPushMessageListener(listener),
		rmq.WithPushConsumptionThreadCount(20),
		rmq.WithPushMaxCacheMessageCount(1024))
	check(err, "new push consumer")
	check(consumer.Start(), "push consumer start")
	select {
	case <-all:
	case <-time.After(roundTimeout):
	}
	check(consumer.GracefulStop(), "push consumer stop")
	mutex.Lock()
	defer mutex.Unlock()
	return len(seen)
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}
