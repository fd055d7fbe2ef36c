package dataset

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"sync"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/internal/atomicfile"
)

// Format of a file of token ids. Both hold uint16, little-endian: vocabularies
// up to 65536.
type Format uint8

// The formats.
const (
	// LLMC is llm.c's: a header of 256 int32 (magic 20240520, version 1,
	// number of tokens, zeros), then the ids.
	LLMC Format = iota
	// NanoGPT is nanoGPT's .bin: the ids alone.
	NanoGPT
)

const (
	llmcMagic   = 20240520
	llmcVersion = 1
	llmcHeader  = 256 * 4 // bytes
	maxShardID  = math.MaxUint16
	shardChunk  = 1 << 13 // ids converted at a time
)

// Shard is a file of token ids, read where it is needed and never loaded whole.
type Shard struct {
	file   *os.File
	path   string
	header int64 // bytes before the first id
	n      int

	mu  sync.Mutex // guards buf
	buf [2 * shardChunk]byte
}

// OpenShard opens a file of token ids and tells the format by its beginning:
// llm.c's magic number, or else nanoGPT's plain ids. It fails with ErrEmpty or
// ErrFormat (a version that is not known, a length that is not what the header
// says, an odd number of bytes).
func OpenShard(path string) (*Shard, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(err, "dataset")
	}
	s := &Shard{file: f, path: path}
	if err := s.readHeader(); err != nil {
		f.Close()
		return nil, errors.WithMessagef(err, "dataset: %s", path)
	}
	return s, nil
}

func (s *Shard) readHeader() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.Wrap(ErrFormat, "not a regular file")
	}
	size := info.Size()
	if size == 0 {
		return ErrEmpty
	}
	var head [12]byte
	n, err := s.file.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	if n < len(head) || binary.LittleEndian.Uint32(head[:]) != llmcMagic {
		if size%2 != 0 {
			return errors.Wrapf(ErrFormat, "length = %d bytes, want an even number (2 bytes a token)", size)
		}
		s.n = int(size / 2)
		return nil
	}
	if v := int32(binary.LittleEndian.Uint32(head[4:])); v != llmcVersion {
		return errors.Wrapf(ErrFormat, "version = %d, want %d (uint16 tokens)", v, llmcVersion)
	}
	count := int64(int32(binary.LittleEndian.Uint32(head[8:])))
	if want := llmcHeader + 2*count; count < 0 || size != want {
		return errors.Wrapf(ErrFormat, "length = %d bytes, want %d for the %d tokens of the header", size, want, count)
	}
	if count == 0 {
		return ErrEmpty
	}
	s.header, s.n = llmcHeader, int(count)
	return nil
}

// Format of the file.
func (s *Shard) Format() Format {
	if s.header > 0 {
		return LLMC
	}
	return NanoGPT
}

// Len is the number of tokens.
func (s *Shard) Len() int { return s.n }

// ReadTokens reads from the file. It allocates nothing.
func (s *Shard) ReadTokens(dst []int32, at int) error {
	if err := checkRange(len(dst), at, s.n); err != nil {
		return errors.WithMessagef(err, "dataset: %s", s.path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(dst) > 0 {
		n := min(len(dst), shardChunk)
		if _, err := s.file.ReadAt(s.buf[:2*n], s.header+2*int64(at)); err != nil {
			return errors.Wrapf(err, "dataset: %s: tokens [%d, %d)", s.path, at, at+n)
		}
		for i := range n {
			dst[i] = int32(binary.LittleEndian.Uint16(s.buf[2*i:]))
		}
		dst, at = dst[n:], at+n
	}
	return nil
}

// Close closes the file.
func (s *Shard) Close() error { return s.file.Close() }

// ShardWriter writes a file of token ids. The file appears when Close succeeds;
// until then it has a temporary name beside it.
type ShardWriter struct {
	file   *atomicfile.File
	path   string
	format Format
	n      int
	buf    []byte
}

// CreateShard begins the file path, which Close will put in place.
func CreateShard(path string, format Format) (*ShardWriter, error) {
	if format != LLMC && format != NanoGPT {
		return nil, errors.Errorf("dataset: format = %d, want LLMC or NanoGPT", format)
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, errors.Wrap(err, "dataset")
	}
	w := &ShardWriter{file: f, path: path, format: format}
	if format == LLMC {
		w.buf = make([]byte, llmcHeader, llmcHeader+2*shardChunk) // filled in by Close
	}
	return w, nil
}

// Write appends ids. It fails with a *TokenError for an id that uint16 cannot
// hold, and then writes none of ids.
func (w *ShardWriter) Write(ids []int32) error {
	if err := checkIDs(ids, maxShardID+1, w.n); err != nil {
		return errors.WithMessagef(err, "dataset: %s", w.path)
	}
	if w.format == LLMC && len(ids) > math.MaxInt32-w.n {
		return errors.Errorf("dataset: %s: more than %d tokens, which llm.c's header cannot count: begin another shard", w.path, math.MaxInt32)
	}
	w.n += len(ids)
	for _, id := range ids {
		w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(id))
		if len(w.buf) >= 2*shardChunk {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *ShardWriter) flush() error {
	_, err := w.file.Write(w.buf)
	w.buf = w.buf[:0]
	return errors.Wrapf(err, "dataset: %s", w.path)
}

// Len is the number of tokens written so far.
func (w *ShardWriter) Len() int { return w.n }

// Close completes the file and gives it its name. If it fails, or fails with
// ErrEmpty because nothing was written, there is no file.
func (w *ShardWriter) Close() error {
	defer w.file.Abort()
	if w.n == 0 {
		return errors.Wrapf(ErrEmpty, "dataset: %s", w.path)
	}
	if err := w.flush(); err != nil {
		return err
	}
	if w.format == LLMC {
		var head [12]byte
		binary.LittleEndian.PutUint32(head[:], llmcMagic)
		binary.LittleEndian.PutUint32(head[4:], llmcVersion)
		binary.LittleEndian.PutUint32(head[8:], uint32(w.n))
		if _, err := w.file.WriteAt(head[:], 0); err != nil {
			return errors.Wrapf(err, "dataset: %s", w.path)
		}
	}
	return errors.Wrapf(w.file.Commit(), "dataset: %s", w.path)
}

// Abort drops the file, unless Close was called.
func (w *ShardWriter) Abort() { w.file.Abort() }
