package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/internal/atomicfile"
	"github.com/gorget/gorget/train"
)

// metrics are the files that follow a run.
type metrics struct {
	observers []train.Observer
	files     []*metricsFile
}

// metricsFile is a file that an observer writes to.
type metricsFile struct {
	io.Writer
	file *os.File
}

// openMetrics begins the files with what the old metrics.jsonl has of the first
// steps steps, and goes on at their ends; later steps will be done again. A file
// is replaced when all of that is in the new one. What is odd but no error is
// told to warn.
func (j *job) openMetrics(steps int, warn io.Writer) error {
	old, err := os.ReadFile(j.path("metrics.jsonl"))
	if err != nil && !os.IsNotExist(err) {
		return errors.Wrap(err, "metrics")
	}
	err = train.Replay(bytes.NewReader(old), steps, j.curves)
	if errors.Is(err, train.ErrGap) {
		fmt.Fprintln(warn, "warning: metrics.jsonl:", err)
	} else if err != nil {
		return err
	}
	j.metrics = &metrics{}
	for _, f := range []struct {
		name string
		make func(w io.Writer) train.Observer
	}{
		{"metrics.jsonl", func(w io.Writer) train.Observer { return train.NewJSONL(w) }},
		{"metrics.csv", func(w io.Writer) train.Observer { return train.NewCSV(w) }},
		{"events.out.tfevents", func(w io.Writer) train.Observer { return train.NewTensorBoard(w) }},
	} {
		if err := j.metrics.open(j.path(f.name), old, steps, f.make); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) open(path string, old []byte, steps int, observer func(io.Writer) train.Observer) error {
	begun, err := atomicfile.Create(path)
	if err != nil {
		return errors.Wrap(err, "-out")
	}
	defer begun.Abort()
	f := &metricsFile{Writer: begun}
	o := observer(f)
	if err := train.Replay(bytes.NewReader(old), steps, o); err != nil && !errors.Is(err, train.ErrGap) {
		return err
	}
	if err := begun.Commit(); err != nil {
		return errors.Wrap(err, "-out")
	}
	if f.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err != nil {
		return errors.Wrap(err, "-out")
	}
	f.Writer = f.file
	m.files, m.observers = append(m.files, f), append(m.observers, o)
	return nil
}

// sync flushes the files to the disk.
func (m *metrics) sync() error {
	for _, f := range m.files {
		if err := f.file.Sync(); err != nil {
			return errors.Wrap(err, "metrics")
		}
	}
	return nil
}

func (m *metrics) close() {
	for _, f := range m.files {
		f.file.Close()
	}
}
