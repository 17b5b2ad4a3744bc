import com.pixelmed.validate.DicomSRValidator;

/** Validates the reports that it is given by PixelMed's rules, whose own program takes one a start. */
class ReportValidator {
    public static void main(String[] reports) throws Exception {
        var validator = new DicomSRValidator();
        for (var report : reports) {
            System.out.print(validator.validate(report, false, true, false, false, false));
        }
    }
}
