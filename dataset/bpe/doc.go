// Package bpe is GPT-2's byte-pair encoding, with its vocabulary of 50257
// tokens inside: it needs no file and no network, and adds 12 MB to a program,
// so only what needs it should import it.
package bpe
