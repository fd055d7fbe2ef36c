// Package dataset turns text into training batches.
//
// Text becomes token ids by a [Tokenizer]: [Chars] (one token a character, as
// nanoGPT's character models), [Pieces] (the vocabulary file of llama2.c-style
// models), or GPT-2's byte-pair encoding in the sub-package bpe, which carries
// its vocabulary and therefore adds 12 MB to a program.
//
// Ids are read through [Tokens]: a slice in memory ([Slice]), or a file of
// token ids on disk ([OpenShard]) in nanoGPT's or llm.c's format, which is
// never loaded whole. [Split] cuts a training and a validation part, [Join]
// reads several shards as one stream.
//
// A [Loader] cuts windows of T+1 tokens into batches. A batch is a pure
// function of (seed, step, micro-batch): nothing is drawn from a hidden
// generator, so a run is resumed by going on at the next step, and one can look
// at any batch of a run at any time. [Examples] does the same for short
// sequences of different lengths, padded to T.
//
// Letters: B sequences a batch, T tokens a sequence, V the vocabulary's size.
package dataset
