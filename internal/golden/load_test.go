package golden

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// file lays out a safetensors file by hand.
func file(header string, data []byte) []byte {
	buf := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(buf, header...), data...)
}

func TestParseReadsEachType(t *testing.T) {
	var data []byte
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(-0.1))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(1.5))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(2.5))
	data = binary.LittleEndian.AppendUint32(data, uint32(0xffffffff))
	f, err := parse("x", file(`{"__metadata__":{"golden":"{\"a\":7}"},`+
		`"d":{"dtype":"F64","shape":[],"data_offsets":[0,8]},`+
		`"s/f":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},`+
		`"s/i":{"dtype":"I32","shape":[1],"data_offsets":[16,20]}}`, data))
	require.NoError(t, err)

	var header struct{ A int }
	f.Header(t, &header)
	assert.Equal(t, 7, header.A)
	assert.Equal(t, []string{"d", "s/f", "s/i"}, f.Names())
	assert.True(t, f.Has("d"))
	assert.False(t, f.Has("e"))

	d := f.Tensor(t, "d")
	assert.Empty(t, d.Shape)
	assert.Equal(t, []float64{-0.1}, d.Float64())
	assert.Equal(t, []float32{-0.1}, d.Float32())
	assert.Nil(t, d.Rows())

	under := f.Under("s/")
	assert.Len(t, under, 2)
	assert.Equal(t, []int{2, 1}, under["f"].Shape)
	assert.Equal(t, []float32{1.5, 2.5}, under["f"].F32)
	assert.Equal(t, []float64{1.5, 2.5}, under["f"].Float64())
	assert.Equal(t, []int32{-1}, under["i"].I32)
	assert.Equal(t, []float64{-1}, under["i"].Float64())

	rows := under["f"].Rows()
	require.Len(t, rows, 2)
	assert.Equal(t, []int{1}, rows[1].Shape)
	assert.Equal(t, []float32{2.5}, rows[1].F32)
	assert.Nil(t, rows[1].F64)
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		buf  []byte
		want string
	}{
		"truncated": {file(`{"__metadata__":{"golden":"{}"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 4)), "golden: x"},
		"no header": {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4)), "want a JSON header"},
		"dtype":     {file(`{"__metadata__":{"golden":"{}"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, make([]byte, 4)), `tensor "a": dtype`},
	} {
		_, err := parse("x", c.buf)
		assert.ErrorContains(t, err, c.want, name)
	}
	_, err := Open("no-such-file")
	assert.ErrorContains(t, err, "no-such-file")
}

func TestDiffs(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		got, want   []float64
		diff, ratio float64
	}{
		{nil, nil, 0, 0},
		{[]float64{1, 2}, []float64{1, 2}, 0, 0},
		{[]float64{1, 2}, []float64{1, -4}, 6, 1.5},
		{[]float64{1}, []float64{0}, 1, inf},
		{[]float64{0}, []float64{0}, 0, 0},
		{[]float64{1}, []float64{1, 2}, inf, inf},
		{[]float64{nan}, []float64{1}, inf, inf},
		{[]float64{1}, []float64{nan}, inf, inf},
		{[]float64{inf}, []float64{1}, inf, inf},
	} {
		assert.Equal(t, c.diff, MaxDiff(c.got, c.want), "%v %v", c.got, c.want)
		assert.Equal(t, c.ratio, RelErr(c.got, c.want), "%v %v", c.got, c.want)
	}
	assert.Equal(t, 0.0, MaxDiff([]float32{0.5}, []float64{0.5}))
}

// Every committed file opens, holds finite numbers only and says what it is.
func TestEveryFile(t *testing.T) {
	entries, err := files.ReadDir("testdata")
	require.NoError(t, err)
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".safetensors")
		if !ok {
			continue
		}
		f := Load(t, name)
		require.NotEmpty(t, f.Names(), name)
		for _, n := range f.Names() {
			tensor := f.Tensor(t, n)
			size := 1
			for _, d := range tensor.Shape {
				size *= d
			}
			require.Equal(t, size, tensor.Len(), "%s: %s", name, n)
			x := tensor.Float64()
			require.Zero(t, MaxDiff(x, x), "%s: %s is not finite", name, n)
		}
	}
}

func TestDirCopiesAFolder(t *testing.T) {
	dir := Dir(t, "hf-mixtral")
	for _, name := range []string{"config.json", "model.safetensors.index.json", "model-00001-of-00005.safetensors"} {
		want, err := files.ReadFile("testdata/hf-mixtral/" + name)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
}
