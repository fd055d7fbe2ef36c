package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"slices"

	"github.com/pkg/errors"
)

// Tensor is one tensor to be written.
type Tensor struct {
	Name  string
	Dtype Dtype // of the file: F64, F32, F16 or BF16
	Shape []int // row-major
	// Exactly one is set; its length is the product of Shape.
	F32 []float32
	F64 []float64
}

func (t Tensor) check() error {
	if t.Name == "" || t.Name == metadataKey {
		return errors.Errorf("safetensors: name = %q, want another", t.Name)
	}
	if !t.Dtype.IsFloat() {
		return errors.Errorf("safetensors: tensor %q: dtype = %q, want F64, F32, F16 or BF16", t.Name, t.Dtype)
	}
	n := 1
	for _, d := range t.Shape {
		if d < 0 || (d > 0 && n > math.MaxInt64/8/d) {
			return errors.Errorf("safetensors: tensor %q: shape = %v", t.Name, t.Shape)
		}
		n *= d
	}
	if len(t.F32) > 0 && len(t.F64) > 0 || n != len(t.F32)+len(t.F64) {
		return errors.Errorf("safetensors: tensor %q: %d float32 and %d float64 numbers for shape %v, want %d of one", t.Name, len(t.F32), len(t.F64), t.Shape, n)
	}
	return nil
}

// Bytes is the number of bytes that the tensor takes in a file.
func (t Tensor) Bytes() int64 { return int64(len(t.F32)+len(t.F64)) * int64(t.Dtype.Size()) }

// Write writes a file: the tensors ordered by size of element, then by name, as
// the reference does, so that the same tensors always give the same bytes.
// metadata may be nil; Hugging Face's transformers wants {"format": "pt"}. A
// finite number that does not fit the type asked for (beyond 65504 for F16) is
// an error that names the tensor; what was written until then is of no use.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.Dtype.Size(), a.Dtype.Size()), cmp.Compare(a.Name, b.Name))
	})
	head, err := layOut(sorted, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return errors.Wrap(err, "safetensors")
	}
	for _, t := range sorted {
		if err := writeFloats(w, t, t.F32); err != nil {
			return err
		}
		if err := writeFloats(w, t, t.F64); err != nil {
			return err
		}
	}
	return nil
}

// layOut makes the header for tensors in the order given. JSON objects of Go
// maps are sorted by name, which the format allows; only the offsets follow the
// order of the data.
func layOut(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	type entry struct {
		Dtype   Dtype    `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	h := make(map[string]any, len(tensors)+1)
	at := int64(0)
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, err
		}
		if _, twice := h[t.Name]; twice {
			return nil, errors.Errorf("safetensors: tensor %q is there twice", t.Name)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{} // a scalar: [], not null
		}
		h[t.Name] = entry{t.Dtype, shape, [2]int64{at, at + t.Bytes()}}
		at += t.Bytes()
	}
	if len(metadata) > 0 {
		h[metadataKey] = metadata
	}
	buf := bytes.NewBuffer(make([]byte, 8))
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(h); err != nil {
		return nil, errors.Wrap(err, "safetensors: header")
	}
	out := bytes.TrimRight(buf.Bytes(), "\n")
	for len(out)%8 != 0 {
		out = append(out, ' ') // the numbers begin at a multiple of 8
	}
	if n := len(out) - 8; n > maxHeader {
		return nil, errors.Errorf("safetensors: header of %d bytes, want at most %d: write several files", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(out, uint64(len(out)-8))
	return out, nil
}

func writeFloats[T Float](w io.Writer, t Tensor, data []T) error {
	buf := buffers.Get().(*[chunkBytes]byte)
	defer buffers.Put(buf)
	size := t.Dtype.Size()
	for at := 0; at < len(data); {
		m := min(chunkBytes/size, len(data)-at)
		raw := buf[:m*size]
		if i := encode(raw, data[at:at+m], t.Dtype); i >= 0 {
			return errors.Errorf("safetensors: tensor %q [%d] = %v, too large for %s", t.Name, at+i, data[at+i], t.Dtype)
		}
		if _, err := w.Write(raw); err != nil {
			return errors.Wrapf(err, "safetensors: tensor %q", t.Name)
		}
		at += m
	}
	return nil
}
