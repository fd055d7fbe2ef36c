package train

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"

	"github.com/pkg/errors"
	"google.golang.org/protobuf/encoding/protowire"
)

// TensorBoard writes the scalars of a run as a TensorBoard event file, whose
// name must contain "tfevents": train/loss, train/lr, train/weight_decay,
// train/grad_norm, train/tokens_per_second, val/loss, and for each look inside
// a step group/role/weight_norm and so on.
//
// The file is a series of TFRecords: the length as 8 bytes, its masked CRC-32C,
// the data, its masked CRC-32C, all little-endian; the data is a tensorflow.Event
// (tensorflow/core/util/event.proto).
type TensorBoard struct {
	w   io.Writer
	now func() time.Time
	err error
}

// NewTensorBoard writes the file's first record, which names the format.
func NewTensorBoard(w io.Writer) *TensorBoard {
	tb := &TensorBoard{w: w, now: time.Now}
	const fileVersion = 3
	tb.event(0, func(b []byte) []byte {
		return protowire.AppendString(protowire.AppendTag(b, fileVersion, protowire.BytesType), "brain.Event:2")
	})
	return tb
}

// Step writes the scalars of a step.
func (tb *TensorBoard) Step(s Step) error {
	return tb.scalars(s.Step,
		scalar{"train/loss", s.Loss}, scalar{"train/lr", s.LR()}, scalar{"train/weight_decay", s.WeightDecay()},
		scalar{"train/grad_norm", s.GradNorm}, scalar{"train/tokens_per_second", s.TokensPerSecond()})
}

// Eval writes the validation loss.
func (tb *TensorBoard) Eval(e Eval) error { return tb.scalars(e.Step, scalar{"val/loss", e.Loss}) }

// Inspect writes the norms and ratios of each role of each group.
func (tb *TensorBoard) Inspect(in Inspection) error {
	var all []scalar
	for _, r := range in.Rows {
		name := fmt.Sprintf("%s/%v/", r.Group, r.Role)
		all = append(all, scalar{name + "weight_norm", r.WeightNorm}, scalar{name + "grad_norm", r.GradNorm},
			scalar{name + "update_ratio", r.UpdateRatio}, scalar{name + "decay_share", r.DecayShare})
	}
	return tb.scalars(in.Step, all...)
}

type scalar struct {
	tag   string
	value float64
}

// scalars writes one event with a Summary of the finite values.
func (tb *TensorBoard) scalars(step int, values ...scalar) error {
	const summary, value, tag, simpleValue = 5, 1, 1, 2 // field numbers
	var s []byte
	for _, v := range values {
		if math.IsNaN(v.value) || math.IsInf(v.value, 0) {
			continue
		}
		var e []byte
		e = protowire.AppendString(protowire.AppendTag(e, tag, protowire.BytesType), v.tag)
		e = protowire.AppendFixed32(protowire.AppendTag(e, simpleValue, protowire.Fixed32Type), math.Float32bits(float32(v.value)))
		s = protowire.AppendBytes(protowire.AppendTag(s, value, protowire.BytesType), e)
	}
	return tb.event(step, func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, summary, protowire.BytesType), s)
	})
}

// event writes an Event with the time, the step and what the function adds.
func (tb *TensorBoard) event(step int, what func([]byte) []byte) error {
	if tb.err != nil {
		return tb.err
	}
	const wallTime, stepField = 1, 2
	var e []byte
	seconds := float64(tb.now().UnixNano()) / 1e9
	e = protowire.AppendFixed64(protowire.AppendTag(e, wallTime, protowire.Fixed64Type), math.Float64bits(seconds))
	e = protowire.AppendVarint(protowire.AppendTag(e, stepField, protowire.VarintType), uint64(step))
	e = what(e)

	var r []byte
	r = binary.LittleEndian.AppendUint64(r, uint64(len(e)))
	r = binary.LittleEndian.AppendUint32(r, maskedCRC(r))
	r = append(r, e...)
	r = binary.LittleEndian.AppendUint32(r, maskedCRC(e))
	_, err := tb.w.Write(r)
	tb.err = errors.Wrap(err, "train: TensorBoard events")
	return tb.err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is TFRecord's checksum: a CRC-32C rotated and shifted, so that the
// checksum of data that contains checksums is sound.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
