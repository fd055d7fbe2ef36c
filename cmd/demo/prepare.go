package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/dataset"
)

// runPrepare turns text files into token files that training streams from
// disk: a folder with train.bin, val.bin and tokenizer.json.
func runPrepare(_ context.Context, args []string, s streams) error {
	fs := flag.NewFlagSet("prepare", flag.ContinueOnError)
	fs.SetOutput(s.err)
	out := fs.String("out", "", "folder to write")
	kind := fs.String("tokenizer", "char", "char, gpt2 for GPT-2's byte-pair encoding, a tokenizer file that gorget wrote, or a vocabulary file of llama2.c (.bin)")
	format := fs.String("format", "llmc", "llmc (a header, then uint16) or nanogpt (uint16 alone)")
	share := fs.Float64("train-share", 0.9, "part of the tokens to train on; the rest is to validate with")
	asJSON := fs.Bool("json", false, "write the result as JSON to the standard output")
	fs.Usage = func() {
		fmt.Fprintln(s.err, "usage: demo prepare -out FOLDER [flags] TEXTFILE...")
		fs.PrintDefaults()
	}
	if err := parse(fs, args); err != nil {
		return err
	}
	formats := map[string]dataset.Format{"llmc": dataset.LLMC, "nanogpt": dataset.NanoGPT}
	f, known := formats[*format]
	switch {
	case *out == "":
		return usagef("-out is missing, want a folder")
	case !known:
		return usagef("-format = %q, want llmc or nanogpt", *format)
	case !tokenizerKnown(*kind):
		return usagef("-tokenizer = %q, want char, gpt2 or a file", *kind)
	case !(*share > 0 && *share < 1):
		return usagef("-train-share = %v, want a number between 0 and 1", *share)
	case fs.NArg() == 0:
		return usagef("no text file given")
	}
	var all string
	for _, path := range fs.Args() {
		c, err := dataset.LoadCorpus(path)
		if err != nil {
			return err
		}
		all += c.Text
	}
	tok, err := (&options{Tokenizer: *kind}).tokenizer(all)
	if err != nil {
		return err
	}
	ids, err := tok.Encode(all)
	if err != nil {
		return err
	}
	head, tail, err := dataset.Split(dataset.Slice(ids), *share)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return errors.Wrap(err, "-out")
	}
	if err := dataset.SaveTokenizer(filepath.Join(*out, "tokenizer.json"), tok); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		ids  []int32
	}{{"train.bin", ids[:head.Len()]}, {"val.bin", ids[head.Len():]}} {
		if err := writeShard(filepath.Join(*out, part.name), f, part.ids); err != nil {
			return err
		}
	}
	if *asJSON {
		return writeJSON(s.out, map[string]any{"out": *out, "train_tokens": head.Len(), "val_tokens": tail.Len(), "vocab": tok.Vocab()}, "")
	}
	fmt.Fprintf(s.out, "%d tokens to train on, %d to validate with, vocabulary %d, in %s\n", head.Len(), tail.Len(), tok.Vocab(), *out)
	return nil
}

func writeShard(path string, format dataset.Format, ids []int32) error {
	w, err := dataset.CreateShard(path, format)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := w.Write(ids); err != nil {
		return err
	}
	return w.Close()
}
