package dataset

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"os"

	"github.com/pkg/errors"
)

// maxPieceBytes bounds what a length in a vocabulary file may make us read.
const maxPieceBytes = 1 << 16

// LoadPieces reads a vocabulary file of llama2.c (tokenizer.bin): the longest
// length as int32, then for each piece its score as float32, its length in
// bytes as int32 and the bytes, all little-endian, to the end of the file. It
// fails with ErrFormat and the number of the piece.
func LoadPieces(path string) (*Pieces, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(err, "dataset")
	}
	defer f.Close()
	p, err := ReadPieces(bufio.NewReader(f))
	return p, errors.WithMessagef(err, "dataset: vocabulary %s", path)
}

// ReadPieces is LoadPieces from a reader.
func ReadPieces(r io.Reader) (*Pieces, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, errors.Wrapf(ErrFormat, "length of the longest piece: %v", err)
	}
	longest := int32(binary.LittleEndian.Uint32(head[:]))
	if longest < 1 || longest > maxPieceBytes {
		return nil, errors.Wrapf(ErrFormat, "length of the longest piece = %d, want 1 <= length <= %d", longest, maxPieceBytes)
	}
	var pieces []piece
	for {
		q, err := readPiece(r, longest)
		if err == io.EOF {
			return newPieces(pieces)
		}
		if err != nil {
			return nil, errors.WithMessagef(err, "piece %d", len(pieces))
		}
		pieces = append(pieces, q)
	}
}

// readPiece gives io.EOF at a clean end only.
func readPiece(r io.Reader, longest int32) (piece, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err == io.EOF {
		return piece{}, io.EOF
	} else if err != nil {
		return piece{}, errors.Wrapf(ErrFormat, "score and length: %v", err)
	}
	score := math.Float32frombits(binary.LittleEndian.Uint32(head[:]))
	n := int32(binary.LittleEndian.Uint32(head[4:]))
	if n < 0 || n > longest {
		return piece{}, errors.Wrapf(ErrFormat, "length = %d, want 0 <= length <= %d, as the file's head says", n, longest)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return piece{}, errors.Wrapf(ErrFormat, "text of %d bytes: %v", n, err)
	}
	return piece{Text: string(text), Score: score}, nil
}
