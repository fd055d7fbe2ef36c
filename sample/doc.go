// Package sample generates tokens with a model: it chooses each next token by
// the model's logits, greedily or at random, and knows when to end.
//
// [Options] say how, as data. [Generate] continues a batch of prompts with a
// [Decoder], such as a *gptblock.Decoder. What it draws is a pure function of
// (seed, sequence, position): a sequence is the same alone and in a batch, where
// the decoder gives the same logits, and a run that goes on from a longer prompt
// draws what the first would have drawn.
package sample
