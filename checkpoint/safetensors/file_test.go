package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/checkpoint/safetensors"
	"github.com/gorget/gorget/internal/golden"
)

// lay lays out a file by hand.
func lay(header string, data int) []byte {
	buf := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(buf, header...), make([]byte, data)...)
}

func open(buf []byte) (*safetensors.File, error) {
	return safetensors.New(bytes.NewReader(buf), int64(len(buf)), "x")
}

func TestOpenRefuses(t *testing.T) {
	huge := binary.LittleEndian.AppendUint64(nil, 100_000_001)
	beyond := append(binary.LittleEndian.AppendUint64(nil, 99_000_000), "{}"...)
	for name, c := range map[string]struct {
		buf  []byte
		want string
	}{
		"empty":            {nil, "0 bytes"},
		"seven bytes":      {make([]byte, 7), "7 bytes"},
		"header too long":  {append(huge, make([]byte, 100)...), "header of 100000001 bytes, want at most"},
		"header beyond":    {beyond, "is the file cut short?"},
		"no object":        {lay(`[]`, 0), "no JSON object"},
		"no JSON":          {lay(`{"a":`, 0), `tensor "a"`},
		"unclosed":         {lay(`{"__metadata__":{}`, 0), "header"},
		"something after":  {lay(`{} {}`, 0), "follows the JSON object"},
		"metadata":         {lay(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
		"twice":            {lay(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), `tensor "a" is there twice`},
		"dtype":            {lay(`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4), `tensor "a": dtype = "F31"`},
		"no dtype":         {lay(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4), `tensor "a": dtype = ""`},
		"negative shape":   {lay(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), `tensor "a"`},
		"two negatives":    {lay(`{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}`, 4), `tensor "a"`},
		"shape overflows":  {lay(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), `tensor "a": 0 bytes for shape`},
		"shape too large":  {lay(`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,0]}}`, 0), `tensor "a"`},
		"fraction":         {lay(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4), `tensor "a"`},
		"wrong length":     {lay(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), `tensor "a": 8 bytes for shape [3] of F32`},
		"one offset":       {lay(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4), `tensor "a": data_offsets = [0]`},
		"backwards":        {lay(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), `tensor "a": data_offsets = [4 0]`},
		"negative offset":  {lay(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 4), `tensor "a": data_offsets`},
		"out of range":     {lay(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4), `tensor "a": data_offsets = [0, 8], the file has 4 bytes`},
		"overlap":          {lay(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), `tensor "b": data_offsets = [4, 12] overlaps "a"`},
		"gap":              {lay(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `tensor "a": data_offsets = [4, 8] leaves a gap after "the header"`},
		"bytes after":      {lay(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 6), `2 bytes follow the last tensor "a"`},
		"no tensor, bytes": {lay(`{}`, 6), "6 bytes follow"},
	} {
		_, err := open(c.buf)
		require.ErrorIs(t, err, safetensors.ErrFormat, name)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, "safetensors: x: ", name)
	}
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	_, err := safetensors.Open(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = safetensors.Open(filepath.Dir(path))
	require.ErrorIs(t, err, safetensors.ErrFormat)
	require.NoError(t, os.WriteFile(path, lay(`{"a":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]},"b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, 8), 0o600))
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.Len(t, f.Tensors(), 2)
	a, ok := f.Tensor("a")
	require.True(t, ok)
	require.Equal(t, 0, a.Len())
	require.Equal(t, "a F32 [2 0]", a.String())
	_, ok = f.Tensor("c")
	require.False(t, ok)
	b, err := f.Bytes("b")
	require.NoError(t, err)
	require.EqualValues(t, 8, b.Size())
	_, err = f.Bytes("c")
	require.ErrorContains(t, err, `no tensor "c"`)
	require.ErrorContains(t, safetensors.Read(f, "b", 0, make([]float32, 1)), "is of I64")
	require.ErrorContains(t, safetensors.Read(f, "c", 0, []float32{}), `no tensor "c"`)
	require.ErrorContains(t, f.CheckFinite("c"), `no tensor "c"`)
	require.ErrorContains(t, safetensors.Read(f, "a", 0, make([]float32, 1)), "elements [0, 1)")
}

// A file whose length is a lie must cost no memory: neither the header's
// length nor a shape is believed.
func TestNothingIsAllocatedOnAWord(t *testing.T) {
	lies := [][]byte{
		append(binary.LittleEndian.AppendUint64(nil, 99_999_999), "{}"...),
		lay(`{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}`, 4),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, buf := range lies {
		_, err := open(buf)
		require.Error(t, err)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func numbers(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = math.Ldexp(math.Sin(float64(i)+1), i%30-20)
	}
	return x
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i := range x {
		y[i] = float32(x[i])
	}
	return y
}

func TestWriteReadBack(t *testing.T) {
	const n = 3*70_000 + 11 // several chunks and a rest
	f64 := numbers(n)
	f32 := narrow(f64)
	var buf bytes.Buffer
	require.NoError(t, safetensors.Write(&buf, []safetensors.Tensor{
		{Name: "half", Dtype: safetensors.F16, Shape: []int{n}, F32: f32},
		{Name: "bf <&>", Dtype: safetensors.BF16, Shape: []int{n}, F64: f64},
		{Name: "single", Dtype: safetensors.F32, Shape: []int{1, n, 1}, F32: f32},
		{Name: "double", Dtype: safetensors.F64, Shape: []int{n}, F64: f64},
		{Name: "scalar", Dtype: safetensors.F64, F32: []float32{3}},
		{Name: "none", Dtype: safetensors.F32, Shape: []int{0, 5}},
	}, map[string]string{"format": "pt"}))
	f, err := open(buf.Bytes())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"format": "pt"}, f.Metadata())
	var names []string
	for _, i := range f.Tensors() {
		names = append(names, i.Name)
	}
	require.Equal(t, "double scalar none single bf <&> half", strings.Join(names, " "), "wide types first, then by name")

	got64, got32 := make([]float64, n), make([]float32, n)
	require.NoError(t, safetensors.Read(f, "double", 0, got64))
	require.Equal(t, f64, got64)
	require.NoError(t, safetensors.Read(f, "double", 0, got32))
	require.Equal(t, f32, got32)
	require.NoError(t, safetensors.Read(f, "single", 0, got32))
	require.Equal(t, f32, got32)
	for name, ulp := range map[string]float64{"half": 1.0 / (1 << 11), "bf <&>": 1.0 / (1 << 8)} {
		require.NoError(t, safetensors.Read(f, name, 0, got64))
		for i, x := range f64 {
			if diff := math.Abs(got64[i] - x); diff > math.Abs(x)*ulp+math.Ldexp(1, -25) {
				t.Fatalf("%s [%d] = %v, want %v", name, i, got64[i], x)
			}
		}
		require.NoError(t, f.CheckFinite(name))
	}
	part := make([]float32, 100_000)
	require.NoError(t, safetensors.Read(f, "single", 70_001, part))
	require.Equal(t, f32[70_001:170_001], part)

	// The same tensors in another order: the same bytes.
	var again bytes.Buffer
	a := safetensors.Tensor{Name: "a", Dtype: safetensors.F32, Shape: []int{2}, F32: []float32{1, 2}}
	b := safetensors.Tensor{Name: "b", Dtype: safetensors.F32, Shape: []int{1}, F32: []float32{3}}
	buf.Reset()
	require.NoError(t, safetensors.Write(&buf, []safetensors.Tensor{a, b}, nil))
	require.NoError(t, safetensors.Write(&again, []safetensors.Tensor{b, a}, nil))
	require.Equal(t, buf.Bytes(), again.Bytes())
	require.Zero(t, (buf.Len()-12)%8, "the numbers are aligned")
}

func TestWriteRefuses(t *testing.T) {
	ok := safetensors.Tensor{Name: "a", Dtype: safetensors.F32, Shape: []int{2}, F32: []float32{1, 2}}
	for want, change := range map[string]func(*safetensors.Tensor){
		`name = ""`:                                 func(a *safetensors.Tensor) { a.Name = "" },
		`name = "__metadata__"`:                     func(a *safetensors.Tensor) { a.Name = "__metadata__" },
		`tensor "a": dtype = "I64"`:                 func(a *safetensors.Tensor) { a.Dtype = safetensors.I64 },
		`tensor "a": shape = [-1 -2]`:               func(a *safetensors.Tensor) { a.Shape = []int{-1, -2} },
		`tensor "a": 2 float32 and 0 float64`:       func(a *safetensors.Tensor) { a.Shape = []int{3} },
		`tensor "a": 2 float32 and 1 float64`:       func(a *safetensors.Tensor) { a.F64 = []float64{1}; a.Shape = []int{3} },
		`tensor "a" [1] = 70000, too large for F16`: func(a *safetensors.Tensor) { a.F32 = []float32{1, 70000}; a.Dtype = safetensors.F16 },
		`[1] = 3.4e+38, too large for BF16`:         func(a *safetensors.Tensor) { a.F32 = []float32{1, 3.4e38}; a.Dtype = safetensors.BF16 },
		`[0] = 1e+200, too large for F32`:           func(a *safetensors.Tensor) { a.F32, a.F64 = nil, []float64{1e200, 1} },
	} {
		bad := ok
		change(&bad)
		require.ErrorContains(t, safetensors.Write(new(bytes.Buffer), []safetensors.Tensor{bad}, nil), want)
	}
	require.ErrorContains(t, safetensors.Write(new(bytes.Buffer), []safetensors.Tensor{ok, ok}, nil), `"a" is there twice`)

	// NaN and infinity are written as they are: a state to look at.
	nan := ok
	nan.F32 = []float32{float32(math.NaN()), float32(math.Inf(-1))}
	for _, d := range []safetensors.Dtype{safetensors.F32, safetensors.F16, safetensors.BF16} {
		nan.Dtype = d
		var buf bytes.Buffer
		require.NoError(t, safetensors.Write(&buf, []safetensors.Tensor{nan}, nil))
		f, err := open(buf.Bytes())
		require.NoError(t, err)
		got := make([]float32, 2)
		require.NoError(t, safetensors.Read(f, "a", 0, got))
		require.True(t, math.IsNaN(float64(got[0])) && math.IsInf(float64(got[1]), -1))
		err = f.CheckFinite("a")
		require.ErrorIs(t, err, safetensors.ErrNotFinite)
		require.ErrorContains(t, err, `tensor "a" [0] = NaN`)
	}
	var buf bytes.Buffer
	big := ok
	big.F32, big.F64, big.Dtype = nil, []float64{1, -1e39}, safetensors.F64
	require.NoError(t, safetensors.Write(&buf, []safetensors.Tensor{big}, nil))
	f, err := open(buf.Bytes())
	require.NoError(t, err)
	require.ErrorContains(t, safetensors.Read(f, "a", 0, make([]float32, 2)), `[1] = -1e+39, too large for float32`)
}

// Files that the reference implementation wrote, in each type.
func TestReadsWhatTheReferenceWrote(t *testing.T) {
	for dir, dtype := range map[string]safetensors.Dtype{"hf-gpt2": safetensors.F32, "hf-llama": safetensors.BF16, "hf-mistral": safetensors.F16} {
		f, err := safetensors.Open(filepath.Join(golden.Dir(t, dir), "model.safetensors"))
		require.NoError(t, err)
		defer f.Close()
		require.Equal(t, "pt", f.Metadata()["format"])
		require.NotEmpty(t, f.Tensors())
		var tensors []safetensors.Tensor
		for _, i := range f.Tensors() {
			require.Equal(t, dtype, i.Dtype)
			x := make([]float32, i.Len())
			require.NoError(t, safetensors.Read(f, i.Name, 0, x))
			require.NoError(t, f.CheckFinite(i.Name))
			tensors = append(tensors, safetensors.Tensor{Name: i.Name, Dtype: dtype, Shape: i.Shape, F32: x})
		}
		// Written again in the same type, the numbers have the same bytes.
		var buf bytes.Buffer
		require.NoError(t, safetensors.Write(&buf, tensors, f.Metadata()))
		g, err := open(buf.Bytes())
		require.NoError(t, err)
		for _, i := range f.Tensors() {
			require.Equal(t, bytesOf(t, f, i.Name), bytesOf(t, g, i.Name), i.Name)
		}
	}
}

func bytesOf(t *testing.T, f *safetensors.File, name string) []byte {
	r, err := f.Bytes(name)
	require.NoError(t, err)
	buf := make([]byte, r.Size())
	_, err = r.ReadAt(buf, 0)
	require.NoError(t, err)
	return buf
}

func TestTruncatedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	require.NoError(t, os.WriteFile(path, lay(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), 0o600))
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Truncate(path, 40))
	require.ErrorContains(t, safetensors.Read(f, "a", 0, make([]float32, 2)), `tensor "a"`)
}

func FuzzOpen(f *testing.F) {
	f.Add(lay(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}`, 10))
	f.Add(lay(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F64","shape":[0,3],"data_offsets":[0,0]}}`, 0))
	f.Add(lay(`{"a":{"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, buf []byte) {
		file, err := open(buf)
		if err != nil {
			require.ErrorIs(t, err, safetensors.ErrFormat)
			return
		}
		total := 0
		for _, i := range file.Tensors() {
			total += i.Len() * i.Dtype.Size()
			if i.Dtype.IsFloat() {
				// Read fails for float64 that float32 cannot hold only.
				if err := safetensors.Read(file, i.Name, 0, make([]float32, i.Len())); err != nil {
					require.ErrorContains(t, err, "too large")
				}
				require.NoError(t, safetensors.Read(file, i.Name, 0, make([]float64, i.Len())))
			}
		}
		require.LessOrEqual(t, total, len(buf))
	})
}
