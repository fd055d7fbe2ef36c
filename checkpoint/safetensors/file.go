package safetensors

import (
	"encoding/binary"
	"io"
	"math"
	"os"
	"sync"

	"github.com/pkg/errors"
)

// chunkBytes is how much is read and converted at a time.
const chunkBytes = 1 << 18

// File is an open file of tensors. It may be read by several goroutines.
type File struct {
	name   string
	r      io.ReaderAt
	data   int64 // where the numbers begin
	header header
	byName map[string]Info
}

// Open opens a file and checks its header. It fails with ErrFormat.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(err, "safetensors")
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.Wrap(ErrFormat, "not a regular file")
	}
	var s *File
	if err == nil {
		s, err = newFile(f, info.Size(), path)
	}
	if err != nil {
		f.Close()
		return nil, errors.WithMessagef(err, "safetensors: %s", path)
	}
	return s, nil
}

// New is Open for size bytes in any reader; name is for messages.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	f, err := newFile(r, size, name)
	return f, errors.WithMessagef(err, "safetensors: %s", name)
}

func newFile(r io.ReaderAt, size int64, name string) (*File, error) {
	var head [8]byte
	if size < 8 {
		return nil, errors.Wrapf(ErrFormat, "%d bytes, want at least 8", size)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > maxHeader {
		return nil, errors.Wrapf(ErrFormat, "header of %d bytes, want at most %d", n, maxHeader)
	}
	if n > uint64(size-8) {
		return nil, errors.Wrapf(ErrFormat, "header of %d bytes in a file of %d: is the file cut short?", n, size)
	}
	buf := make([]byte, n) // as long as the file at most
	if _, err := r.ReadAt(buf, 8); err != nil {
		return nil, err
	}
	data := 8 + int64(n)
	h, err := parseHeader(buf, size-data)
	if err != nil {
		return nil, err
	}
	f := &File{name: name, r: r, data: data, header: h, byName: make(map[string]Info, len(h.tensors))}
	for _, t := range h.tensors {
		f.byName[t.Name] = t
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error {
	if c, ok := f.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Name is the path, or the name that New was given.
func (f *File) Name() string { return f.name }

// Tensors lists the tensors in the order of their places in the file. The
// caller must not change the slice.
func (f *File) Tensors() []Info { return f.header.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Info, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// Metadata is the header's free part, nil if there is none. The caller must
// not change it.
func (f *File) Metadata() map[string]string { return f.header.metadata }

// Bytes gives a tensor's bytes, for types that this package does not convert.
func (f *File) Bytes(name string) (*io.SectionReader, error) {
	t, ok := f.byName[name]
	if !ok {
		return nil, errors.Errorf("safetensors: %s: no tensor %q", f.name, name)
	}
	return io.NewSectionReader(f.r, f.data+t.begin, t.end-t.begin), nil
}

// Read converts the floats of a tensor to dst, from element first on. A number
// of the file that is finite, but too large for a float32 dst, is an error.
func Read[T Float](f *File, name string, first int, dst []T) error {
	t, err := f.floats(name)
	if err != nil {
		return err
	}
	return f.each(t, first, len(dst), func(at, n int, raw []byte) error {
		decode(dst[at:at+n], raw, t.Dtype)
		if i := firstNotFinite(dst[at : at+n]); i >= 0 && t.Dtype == F64 {
			var exact [1]float64
			if decode(exact[:], raw[8*i:], F64); !math.IsInf(exact[0], 0) && !math.IsNaN(exact[0]) {
				return errors.Errorf("safetensors: %s: tensor %q [%d] = %v, too large for float32", f.name, name, first+at+i, exact[0])
			}
		}
		return nil
	})
}

// CheckFinite reads a tensor of floats and fails at the first NaN or infinity.
func (f *File) CheckFinite(name string) error {
	t, err := f.floats(name)
	if err != nil {
		return err
	}
	buf := make([]float64, min(t.Len(), chunkBytes/t.Dtype.Size()))
	return f.each(t, 0, t.Len(), func(at, n int, raw []byte) error {
		decode(buf[:n], raw, t.Dtype)
		if i := firstNotFinite(buf[:n]); i >= 0 {
			return errors.Wrapf(ErrNotFinite, "safetensors: %s: tensor %q [%d] = %v", f.name, name, at+i, buf[i])
		}
		return nil
	})
}

func (f *File) floats(name string) (Info, error) {
	t, ok := f.byName[name]
	if !ok {
		return t, errors.Errorf("safetensors: %s: no tensor %q", f.name, name)
	}
	if !t.Dtype.IsFloat() {
		return t, errors.Errorf("safetensors: %s: tensor %q is of %s, want F64, F32, F16 or BF16", f.name, name, t.Dtype)
	}
	return t, nil
}

var buffers = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// each reads the elements [first, first+n) of a tensor piece by piece; at
// counts from first. use must not keep raw.
func (f *File) each(t Info, first, n int, use func(at, n int, raw []byte) error) error {
	if first < 0 || n > t.Len()-first {
		return errors.Errorf("safetensors: %s: elements [%d, %d) of tensor %q, which has %d", f.name, first, first+n, t.Name, t.Len())
	}
	buf := buffers.Get().(*[chunkBytes]byte)
	defer buffers.Put(buf)
	size := t.Dtype.Size()
	for at := 0; at < n; {
		m := min(chunkBytes/size, n-at)
		raw := buf[:m*size]
		if _, err := f.r.ReadAt(raw, f.data+t.begin+int64(first+at)*int64(size)); err != nil {
			return errors.Wrapf(err, "safetensors: %s: tensor %q", f.name, t.Name)
		}
		if err := use(at, m, raw); err != nil {
			return err
		}
		at += m
	}
	return nil
}
