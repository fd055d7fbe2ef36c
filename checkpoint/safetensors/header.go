package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/pkg/errors"
)

// maxHeader is the longest header that the reference implementation takes.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// Errors that callers test for with errors.Is. They come wrapped in a message
// that names the file and the tensor.
var (
	// ErrFormat: the file is not a valid safetensors file.
	ErrFormat = errors.New("not a valid safetensors file")
	// ErrNotFinite: a tensor holds NaN or infinity where that was not allowed.
	ErrNotFinite = errors.New("want finite numbers")
)

// Info describes one tensor of a file.
type Info struct {
	Name  string
	Dtype Dtype
	Shape []int

	begin, end int64 // in bytes after the header
}

// Len is the number of elements.
func (i Info) Len() int { return int(i.end-i.begin) / i.Dtype.Size() }

// String is the name, the type and the shape: wte.weight F32 [50257 768].
func (i Info) String() string { return fmt.Sprintf("%s %s %v", i.Name, i.Dtype, i.Shape) }

type header struct {
	tensors  []Info // in the order of their bytes
	metadata map[string]string
}

// parseHeader reads the JSON of a header for a file with the given number of
// bytes after it. It walks the object key by key, because a name that is there
// twice must not go unseen.
func parseHeader(buf []byte, dataBytes int64) (header, error) {
	var h header
	dec := json.NewDecoder(bytes.NewReader(buf))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return h, errors.Wrap(ErrFormat, "the header is no JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return h, errors.Wrapf(ErrFormat, "header: %v", err)
		}
		name := key.(string) // the decoder gives nothing else in this place
		if seen[name] {
			return h, errors.Wrapf(ErrFormat, "tensor %q is there twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := dec.Decode(&h.metadata); err != nil {
				return h, errors.Wrapf(ErrFormat, "%s: %v", metadataKey, err)
			}
			continue
		}
		info, err := parseInfo(dec, name)
		if err != nil {
			return h, err
		}
		h.tensors = append(h.tensors, info)
	}
	if _, err := dec.Token(); err != nil {
		return h, errors.Wrapf(ErrFormat, "header: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return h, errors.Wrap(ErrFormat, "header: something follows the JSON object")
	}
	return h, h.checkPlaces(dataBytes)
}

// parseInfo reads one tensor's entry and checks it by itself.
func parseInfo(dec *json.Decoder, name string) (Info, error) {
	var entry struct {
		Dtype   Dtype   `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int64 `json:"data_offsets"`
	}
	if err := dec.Decode(&entry); err != nil {
		return Info{}, errors.Wrapf(ErrFormat, "tensor %q: %v", name, err)
	}
	size := entry.Dtype.Size()
	if size == 0 {
		return Info{}, errors.Wrapf(ErrFormat, "tensor %q: dtype = %q, which is not known", name, entry.Dtype)
	}
	if len(entry.Offsets) != 2 || entry.Offsets[0] < 0 || entry.Offsets[1] < entry.Offsets[0] {
		return Info{}, errors.Wrapf(ErrFormat, "tensor %q: data_offsets = %v, want [begin, end] with 0 <= begin <= end", name, entry.Offsets)
	}
	info := Info{Name: name, Dtype: entry.Dtype, Shape: make([]int, len(entry.Shape)), begin: entry.Offsets[0], end: entry.Offsets[1]}
	n, over := uint64(size), uint64(0)
	for i, d := range entry.Shape {
		var hi uint64
		hi, n = bits.Mul64(n, uint64(d))
		over |= hi | n>>63
		if d < 0 || d > math.MaxInt {
			return Info{}, errors.Wrapf(ErrFormat, "tensor %q: shape = %v, want dimensions >= 0", name, entry.Shape)
		}
		info.Shape[i] = int(d)
	}
	if length := info.end - info.begin; over != 0 || int64(n) != length {
		return Info{}, errors.Wrapf(ErrFormat, "tensor %q: %d bytes for shape %v of %s", name, length, entry.Shape, entry.Dtype)
	}
	return info, nil
}

// checkPlaces sorts the tensors by place and checks that they fill the file:
// no gap, no overlap, nothing beyond the end.
func (h *header) checkPlaces(dataBytes int64) error {
	slices.SortFunc(h.tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end)) // empty ones first
	})
	at, before := int64(0), "the header"
	for _, t := range h.tensors {
		switch {
		case t.end > dataBytes:
			return errors.Wrapf(ErrFormat, "tensor %q: data_offsets = [%d, %d], the file has %d bytes of data", t.Name, t.begin, t.end, dataBytes)
		case t.begin < at:
			return errors.Wrapf(ErrFormat, "tensor %q: data_offsets = [%d, %d] overlaps %q, which ends at %d", t.Name, t.begin, t.end, before, at)
		case t.begin > at:
			return errors.Wrapf(ErrFormat, "tensor %q: data_offsets = [%d, %d] leaves a gap after %q, which ends at %d", t.Name, t.begin, t.end, before, at)
		}
		at, before = t.end, t.Name
	}
	if at != dataBytes {
		return errors.Wrapf(ErrFormat, "%d bytes follow the last tensor %q", dataBytes-at, before)
	}
	return nil
}
