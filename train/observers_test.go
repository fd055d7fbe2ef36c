package train_test

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
	"github.com/gorget/gorget/train"
)

// tell gives an observer a step, one that was skipped, a validation and a look.
func tell(t *testing.T, o train.Observer) {
	t.Helper()
	rates := solvers.Plan{{Step: 1, Group: "decay", Rate: groups.Rate{LR: 1e-3, Lambda: 0.1, Shrink: 1e-4}}, {Step: 1, Group: "no_decay", Rate: groups.Rate{LR: 1e-3}}}
	require.NoError(t, o.Step(train.Step{Step: 1, Loss: 4.25, GradNorm: 2, Tokens: 100, Seconds: 0.5, Rates: rates}))
	require.NoError(t, o.Step(train.Step{Step: 2, Loss: math.NaN(), GradNorm: math.Inf(1), Skipped: "loss = NaN"}))
	require.NoError(t, o.Eval(train.Eval{Step: 2, Loss: 3.5, Best: true}))
	require.NoError(t, o.Inspect(train.Inspection{Step: 2, Warnings: []string{"odd"}, Rows: []train.Inside{
		{Group: "decay", Role: graph.Weight, Params: 6, WeightNorm: 1.5, GradNorm: 0.25, UpdateRatio: 0.5, DecayShare: 0.125, Tau: math.Inf(1)},
	}}))
}

func TestJSONL(t *testing.T) {
	var b bytes.Buffer
	tell(t, train.NewJSONL(&b))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 4)
	for i, want := range []string{
		`{"step":1,"loss":4.25,"lr":0.001,"weight_decay":0.1,"grad_norm":2,"tokens_per_second":200}`,
		`{"step":2,"loss":null,"lr":0,"weight_decay":0,"grad_norm":null,"tokens_per_second":0,"skipped":"loss = NaN"}`,
		`{"step":2,"val_loss":3.5,"best":true}`,
		`{"step":2,"inside":[{"group":"decay","role":"weight","params":6,"weight_norm":1.5,"grad_norm":0.25,"update_ratio":0.5,"decay_share":0.125,"tau_steps":null}],"warnings":["odd"]}`,
	} {
		require.JSONEq(t, want, lines[i])
		require.True(t, json.Valid([]byte(lines[i])))
	}
}

func TestReplayIsTheInverseOfJSONL(t *testing.T) {
	var first, again bytes.Buffer
	tell(t, train.NewJSONL(&first))
	lines := first.String()
	require.NoError(t, train.Replay(strings.NewReader(lines+`{"step":2,"lo`), 2, train.NewJSONL(&again)))
	require.Equal(t, lines, again.String(), "a last line that was cut short does not count")
	again.Reset()
	require.NoError(t, train.Replay(strings.NewReader(lines), 1, train.NewJSONL(&again)))
	require.Equal(t, strings.SplitAfter(lines, "\n")[0], again.String())
	require.ErrorContains(t, train.Replay(strings.NewReader("no JSON\n"), 1, train.Nothing{}), "line 1")
	require.NoError(t, train.Replay(strings.NewReader(lines+"\x00\x00\n"), 2, train.Nothing{}), "what a crash left after the steps")
	again.Reset()
	require.ErrorIs(t, train.Replay(strings.NewReader(lines), 3, train.NewJSONL(&again)), train.ErrGap)
	require.Equal(t, lines, again.String())
}

func TestCSV(t *testing.T) {
	var b bytes.Buffer
	tell(t, train.NewCSV(&b))
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"step", "loss", "lr", "weight_decay", "grad_norm", "tokens_per_second", "val_loss", "skipped"},
		{"1", "4.25", "0.001", "0.1", "2", "200", "", ""},
		{"2", "", "0", "0", "", "0", "", "loss = NaN"},
		{"2", "", "", "", "", "", "3.5", ""},
	}, rows)
}

// TestTensorBoard reads the file back by the published formats of TFRecord and
// of tensorflow.Event.
func TestTensorBoard(t *testing.T) {
	var b bytes.Buffer
	tell(t, train.NewTensorBoard(&b))
	if path := os.Getenv("GORGET_TFEVENTS"); path != "" { // for a look with TensorBoard itself
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	mask := func(data []byte) uint32 {
		c := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		return (c>>15 | c<<17) + 0xa282ead8
	}
	got := map[string]float32{}
	data := b.Bytes()
	for n := 0; len(data) > 0; n++ {
		size := binary.LittleEndian.Uint64(data)
		require.Equal(t, mask(data[:8]), binary.LittleEndian.Uint32(data[8:]))
		event := data[12 : 12+size]
		require.Equal(t, mask(event), binary.LittleEndian.Uint32(data[12+size:]))
		data = data[16+size:]
		fields := consume(t, event)
		require.Positive(t, math.Float64frombits(fields[1].number), "wall time")
		if n == 0 {
			require.Equal(t, "brain.Event:2", string(fields[3].bytes))
			continue
		}
		for _, v := range consumeAll(t, fields[5].bytes) {
			value := consume(t, v.bytes)
			got[string(value[1].bytes)+"@"+string(rune('0'+fields[2].number))] = math.Float32frombits(uint32(value[2].number))
		}
	}
	require.Equal(t, map[string]float32{
		"train/loss@1": 4.25, "train/lr@1": 1e-3, "train/weight_decay@1": 0.1, "train/grad_norm@1": 2, "train/tokens_per_second@1": 200,
		"train/lr@2": 0, "train/weight_decay@2": 0, "train/tokens_per_second@2": 0,
		"val/loss@2":                 3.5,
		"decay/weight/weight_norm@2": 1.5, "decay/weight/grad_norm@2": 0.25, "decay/weight/update_ratio@2": 0.5, "decay/weight/decay_share@2": 0.125,
	}, got)
}

// field is one field of a protobuf message.
type field struct {
	number uint64
	bytes  []byte
}

func consume(t *testing.T, b []byte) map[protowire.Number]field {
	out := map[protowire.Number]field{}
	walk(t, b, func(n protowire.Number, f field) { out[n] = f })
	return out
}

func consumeAll(t *testing.T, b []byte) (out []field) {
	walk(t, b, func(_ protowire.Number, f field) { out = append(out, f) })
	return out
}

func walk(t *testing.T, b []byte, f func(protowire.Number, field)) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		require.Positive(t, n)
		b = b[n:]
		var v field
		switch typ {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(b)
			v.number = uint64(x)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(b)
		}
		require.Positive(t, n)
		b = b[n:]
		f(num, v)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestObserversReportWhatTheyCannotWrite(t *testing.T) {
	for _, o := range []train.Observer{train.NewJSONL(brokenWriter{}), train.NewCSV(brokenWriter{}), train.NewTensorBoard(brokenWriter{})} {
		require.ErrorContains(t, o.Step(train.Step{Step: 1}), "disk full")
	}
}
