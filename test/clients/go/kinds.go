// Every kind of message and way to consume, as far as the official Go client has it. Each feature uses the topic and the
// consumer group PREFIX-FEATURE, which have to be there, with the type that the feature needs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

const (
	featureTimeout = 30 * time.Second
	awaitDuration  = 5 * time.Second
	invisible      = 30 * time.Second
	lacking        = "the client lacks it"
)

// One program's run: what all features share.
type trial struct {
	endpoint, prefix string
	producer         rmq.Producer
}

var features = map[string]func(*trial, string) error{
	"fifo":            (*trial).fifo,
	"fifoPastFailure": (*trial).fifoPastFailure,
	"retry":           (*trial).retry,
	"nack":            (*trial).nack,
	"tags":            (*trial).tags,
	"sql":             (*trial).sql,
	"delay":           (*trial).delay,
	"recall":          (*trial).recall,
	"priority":        (*trial).priority,
	"lite":            (*trial).lite,
	"transaction":     (*trial).transaction,
	"dlq":             (*trial).dlq,
}

// Tries the features side by side and prints what came of each.
func kinds(endpoint, prefix string, wanted []string) {
	run := &trial{endpoint: endpoint, prefix: prefix}
	var topics []string
	for _, feature := range wanted {
		if feature != "transaction" {
			topics = append(topics, run.topic(feature))
		}
	}
	var err error
	run.producer, err = rmq.NewProducer(config(endpoint, ""), rmq.WithTopics(topics...))
	check(err, "new producer")
	if len(topics) > 0 {
		check(run.producer.Start(), "producer start")
	}
	results := map[string]string{}
	var mutex sync.Mutex
	var all sync.WaitGroup
	for _, feature := range wanted {
		all.Add(1)
		go func() {
			defer all.Done()
			outcome := run.try(feature)
			mutex.Lock()
			defer mutex.Unlock()
			results[feature] = outcome
		}()
	}
	all.Wait()
	line, _ := json.Marshal(results)
	fmt.Println(string(line))
}

func (run *trial) try(feature string) string {
	work, has := features[feature]
	if !has {
		return lacking
	}
	if err := work(run, run.topic(feature)); err != nil {
		return err.Error()
	}
	return "ok"
}

func (run *trial) topic(feature string) string { return run.prefix + "-" + feature }

func (run *trial) fifo(topic string) error { return run.ordered(topic, -1) }

// The fourth message of one message group fails its first attempt.
func (run *trial) fifoPastFailure(topic string) error { return run.ordered(topic, 3) }

// Sends 30 messages in three message groups and consumes them; `failing` of group 1 fails once.
func (run *trial) ordered(topic string, failing int) error {
	var expected [3][]int
	for sequence := range 10 {
		for group := range 3 {
			message := newMessage(topic, strconv.Itoa(sequence))
			message.SetMessageGroup(strconv.Itoa(group))
			if _, err := run.producer.Send(context.Background(), message); err != nil {
				return err
			}
			expected[group] = append(expected[group], sequence)
			if group == 1 && sequence == failing {
				expected[group] = append(expected[group], sequence)
			}
		}
	}
	var mutex sync.Mutex
	var got [3][]int
	left := 30
	err := run.push(topic, func(view *rmq.MessageView) (rmq.ConsumerResult, bool) {
		group, _ := strconv.Atoi(*view.GetMessageGroup())
		sequence, _ := strconv.Atoi(string(view.GetBody()))
		// Whatever runs beside an earlier one overtakes it.
		time.Sleep(time.Duration(9-sequence) * 10 * time.Millisecond)
		mutex.Lock()
		defer mutex.Unlock()
		isFirst := !slices.Contains(got[group], sequence)
		got[group] = append(got[group], sequence)
		if group == 1 && sequence == failing && isFirst {
			return rmq.FAILURE, false
		}
		left--
		return rmq.SUCCESS, left == 0
	})
	mutex.Lock()
	defer mutex.Unlock()
	for group := range got {
		if !slices.Equal(got[group], expected[group]) {
			return fmt.Errorf("out of order: %v", got[group])
		}
	}
	return err
}

func (run *trial) retry(topic string) error {
	if err := run.send(newMessage(topic, "again")); err != nil {
		return err
	}
	var attempts []int32
	err := run.push(topic, func(view *rmq.MessageView) (rmq.ConsumerResult, bool) {
		attempts = append(attempts, view.GetDeliveryAttempt())
		if len(attempts) == 1 {
			return rmq.FAILURE, false
		}
		return rmq.SUCCESS, true
	})
	if err == nil && !slices.Equal(attempts, []int32{1, 2}) {
		return fmt.Errorf("attempts %v", attempts)
	}
	return err
}

func (run *trial) nack(topic string) error {
	if err := run.send(newMessage(topic, "again")); err != nil {
		return err
	}
	consumer, err := run.simple(topic, topic, rmq.SUB_ALL)
	if err != nil {
		return err
	}
	defer stop(consumer)
	first, err := one(consumer)
	if err != nil {
		return err
	}
	if err := consumer.ChangeInvisibleDuration(first, time.Second); err != nil {
		return err
	}
	began := time.Now()
	second, err := one(consumer)
	if err != nil {
		return err
	}
	isSame := second.GetMessageId() == first.GetMessageId()
	if took := time.Since(began); !isSame || second.GetDeliveryAttempt() != 2 || took > 3*time.Second {
		return fmt.Errorf("same %v, attempt %d after %v", isSame, second.GetDeliveryAttempt(), took)
	}
	return consumer.Ack(context.Background(), second)
}

func (run *trial) tags(topic string) error {
	return run.filtered(topic, rmq.NewFilterExpression("red || blue"), "blue 0, blue 1, blue 2, red 0, red 1, red 2")
}

func (run *trial) sql(topic string) error {
	filter := rmq.NewFilterExpressionWithType("color <> 'green' AND number > 0", rmq.SQL92)
	return run.filtered(topic, filter, "blue 1, blue 2, red 1, red 2")
}

func (run *trial) filtered(topic string, filter *rmq.FilterExpression, expected string) error {
	for _, color := range []string{"red", "green", "blue"} {
		for number := range 3 {
			message := newMessage(topic, fmt.Sprintf("%s %d", color, number))
			message.SetTag(color)
			message.AddProperty("color", color)
			message.AddProperty("number", strconv.Itoa(number))
			if err := run.send(message); err != nil {
				return err
			}
		}
	}
	got, err := run.collect(topic, filter, len(strings.Split(expected, ", ")))
	if err == nil && got != expected {
		return fmt.Errorf("got %s", got)
	}
	return err
}

func (run *trial) delay(topic string) error {
	consumer, err := run.simple(topic, topic, rmq.SUB_ALL)
	if err != nil {
		return err
	}
	defer stop(consumer)
	due := time.Now().Add(2 * time.Second).Truncate(time.Millisecond)
	message := newMessage(topic, "later")
	message.SetDelayTimestamp(due)
	if err := run.send(message); err != nil {
		return err
	}
	view, err := one(consumer)
	if err != nil {
		return err
	}
	if late := time.Since(due); late < 0 || late > time.Second {
		return fmt.Errorf("late by %v", late)
	}
	return consumer.Ack(context.Background(), view)
}

// Of two delayed messages one is recalled: the other one comes alone.
func (run *trial) recall(topic string) error {
	due := time.Now().Add(2 * time.Second)
	var handles []string
	for _, body := range []string{"recalled", "kept"} {
		message := newMessage(topic, body)
		message.SetDelayTimestamp(due)
		receipts, err := run.producer.Send(context.Background(), message)
		if err != nil {
			return err
		}
		handles = append(handles, receipts[0].RecallHandle)
	}
	if _, err := run.producer.Recall(context.Background(), topic, handles[0]); err != nil {
		return err
	}
	got, err := run.collect(topic, rmq.SUB_ALL, 1)
	if err == nil && got != "kept" {
		return fmt.Errorf("got %s", got)
	}
	return err
}

// Of three that wait the one of the highest priority comes first.
func (run *trial) priority(topic string) error {
	for _, priority := range []int32{1, 10, 5} {
		message := newMessage(topic, strconv.Itoa(int(priority)))
		if err := message.SetPriority(priority); err != nil {
			return err
		}
		if err := run.send(message); err != nil {
			return err
		}
	}
	consumer, err := run.simple(topic, topic, rmq.SUB_ALL)
	if err != nil {
		return err
	}
	defer stop(consumer)
	for _, expected := range []int32{10, 5, 1} {
		view, err := one(consumer)
		if err != nil {
			return err
		}
		if body := string(view.GetBody()); body != strconv.Itoa(int(expected)) {
			return fmt.Errorf("got %s instead of %d", body, expected)
		}
		if err := consumer.Ack(context.Background(), view); err != nil {
			return err
		}
	}
	return nil
}

// Two of three lite topics are consumed, each in order, although the second message of one fails once.
func (run *trial) lite(topic string) error {
	for _, text := range []string{"a 0", "a 1", "a 2", "b 0", "c 0"} {
		message := newMessage(topic, text)
		message.SetLiteTopic(text[:1])
		if err := run.send(message); err != nil {
			return err
		}
	}
	var mutex sync.Mutex
	var got []string
	done := make(chan struct{})
	listener := &rmq.FuncMessageListener{Consume: func(view *rmq.MessageView) rmq.ConsumerResult {
		mutex.Lock()
		defer mutex.Unlock()
		text := string(view.GetBody())
		isFirst := !slices.Contains(got, text)
		got = append(got, text)
		if len(got) == 5 {
			close(done)
		}
		if text == "a 1" && isFirst {
			return rmq.FAILURE
		}
		return rmq.SUCCESS
	}}
	consumer, err := rmq.NewLitePushConsumer(config(run.endpoint, topic), rmq.NewLitePushConsumerConfig(topic, invisible),
		rmq.WithPushAwaitDuration(awaitDuration), rmq.WithPushMessageListener(listener))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	for _, liteTopic := range []string{"a", "b"} {
		if err := consumer.SubscribeLite(liteTopic); err != nil {
			return err
		}
	}
	select {
	case <-done:
	case <-time.After(featureTimeout):
	}
	mutex.Lock()
	defer mutex.Unlock()
	var ofA []string
	for _, text := range got {
		if text[0] == 'a' {
			ofA = append(ofA, text)
		}
	}
	if len(got) != 5 || !slices.Contains(got, "b 0") || !slices.Equal(ofA, []string{"a 0", "a 1", "a 1", "a 2"}) {
		return fmt.Errorf("got %v", got)
	}
	return nil
}

func (run *trial) transaction(topic string) error {
	checker := &rmq.TransactionChecker{Check: func(view *rmq.MessageView) rmq.TransactionResolution {
		if string(view.GetBody()) == "left open" {
			return rmq.COMMIT
		}
		return rmq.ROLLBACK
	}}
	producer, err := rmq.NewProducer(config(run.endpoint, ""), rmq.WithTopics(topic),
		rmq.WithTransactionChecker(checker))
	if err != nil {
		return err
	}
	if err := producer.Start(); err != nil {
		return err
	}
	ends := map[string]func(rmq.Transaction) error{
		"committed":   rmq.Transaction.Commit,
		"rolled back": rmq.Transaction.RollBack,
		"left open":   func(rmq.Transaction) error { return nil },
	}
	for body, end := range ends {
		transaction := producer.BeginTransaction()
		if _, err := producer.SendWithTransaction(context.Background(), newMessage(topic, body), transaction); err != nil {
			return err
		}
		if err := end(transaction); err != nil {
			return err
		}
	}
	got, err := run.collect(topic, rmq.SUB_ALL, 2)
	if err == nil && got != "committed, left open" {
		return fmt.Errorf("got %s", got)
	}
	return err
}

func (run *trial) dlq(topic string) error {
	if err := run.send(newMessage(topic, "dead")); err != nil {
		return err
	}
	attempts := 0
	err := run.push(topic, func(*rmq.MessageView) (rmq.ConsumerResult, bool) {
		attempts++
		return rmq.FAILURE, attempts == 2
	})
	if err != nil {
		return err
	}
	for end := time.Now().Add(featureTimeout); time.Now().Before(end); {
		var consumer rmq.SimpleConsumer
		consumer, err = run.simple("%DLQ%"+topic, topic+"-dead", rmq.SUB_ALL)
		if err != nil {
			time.Sleep(200 * time.Millisecond) // the topic is made by the first dead letter
			continue
		}
		defer stop(consumer)
		var view *rmq.MessageView
		if view, err = one(consumer); err == nil && string(view.GetBody()) != "dead" {
			return fmt.Errorf("got %s", view.GetBody())
		}
		return err
	}
	return err
}

func newMessage(topic, body string) *rmq.Message {
	return &rmq.Message{Topic: topic, Body: []byte(body)}
}

func (run *trial) send(message *rmq.Message) error {
	_, err := run.producer.Send(context.Background(), message)
	return err
}

func (run *trial) simple(topic, group string, filter *rmq.FilterExpression) (rmq.SimpleConsumer, error) {
	consumer, err := rmq.NewSimpleConsumer(config(run.endpoint, group),
		rmq.WithSimpleAwaitDuration(awaitDuration),
		rmq.WithSimpleSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: filter}))
	if err != nil {
		return nil, err
	}
	return consumer, consumer.Start()
}

// Consumes until the listener says that it was the last one. The end of the program stops the consumer.
func (run *trial) push(topic string, consume func(*rmq.MessageView) (rmq.ConsumerResult, bool)) error {
	done := make(chan struct{})
	var once sync.Once
	listener := &rmq.FuncMessageListener{Consume: func(view *rmq.MessageView) rmq.ConsumerResult {
		result, isLast := consume(view)
		if isLast {
			once.Do(func() { close(done) })
		}
		return result
	}}
	consumer, err := rmq.NewPushConsumer(config(run.endpoint, topic),
		rmq.WithPushAwaitDuration(awaitDuration),
		rmq.WithPushSubscriptionExpressions(map[string]*rmq.FilterExpression{topic: rmq.SUB_ALL}),
		rmq.WithPushMessageListener(listener))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(featureTimeout):
		return fmt.Errorf("not all came in time")
	}
}

// The sorted bodies of `count` messages, and of what else comes within a further poll.
func (run *trial) collect(topic string, filter *rmq.FilterExpression, count int) (string, error) {
	consumer, err := run.simple(topic, topic, filter)
	if err != nil {
		return "", err
	}
	defer stop(consumer)
	var bodies []string
	for end := time.Now().Add(featureTimeout); time.Now().Before(end); {
		isLast := len(bodies) >= count
		views, err := consumer.Receive(context.Background(), 32, invisible)
		if code, isStatus := rmq.AsErrRpcStatus(err); err != nil && (!isStatus || code.GetCode() != 40401) {
			return "", err // an empty poll is an error to this client
		}
		for _, view := range views {
			bodies = append(bodies, string(view.GetBody()))
			if err := consumer.Ack(context.Background(), view); err != nil {
				return "", err
			}
		}
		if isLast {
			break
		}
	}
	slices.Sort(bodies)
	return strings.Join(bodies, ", "), nil
}

func one(consumer rmq.SimpleConsumer) (*rmq.MessageView, error) {
	var err error
	for end := time.Now().Add(featureTimeout); time.Now().Before(end); {
		var views []*rmq.MessageView
		if views, err = consumer.Receive(context.Background(), 1, invisible); len(views) > 0 {
			return views[0], nil
		}
	}
	return nil, fmt.Errorf("nothing came: %w", err)
}

func stop(consumer rmq.SimpleConsumer) {
	if err := consumer.GracefulStop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
